/** Whether a network lets a pod out to an address. */
import { addressOf } from "../server-address.ts";

/** The hosts of these URLs that are IPv4 addresses in none of the blocks. Names and IPv6 addresses are not judged. */
export function hostsOutside(urls: readonly string[], cidrs: readonly string[]): string[] {
  const hosts = urls.map((url) => addressOf(url).host);
  return hosts.filter((host) => isAddress(host) && !cidrs.some((cidr) => isWithin(host, cidr)));
}

function isAddress(host: string): boolean {
  return /^\d+(\.\d+){3}$/.test(host);
}

function isWithin(host: string, cidr: string): boolean {
  const [network = "", bits = ""] = cidr.split("/");
  if (!isAddress(network)) return false;
  const blockSize = 2 ** (32 - Number(bits));
  return Math.floor(numberOf(host) / blockSize) === Math.floor(numberOf(network) / blockSize);
}

function numberOf(address: string): number {
  return address.split(".").reduce((sum, part) => 256 * sum + Number(part), 0);
}
