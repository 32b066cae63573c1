/** Whether a network lets a pod out to an address. */
import { BlockList, isIP } from "node:net";
import { addressOf } from "../server-address.ts";

/** The hosts of these URLs that are addresses in none of the blocks. Names are not judged: where they lead is not known here. */
export function hostsOutside(urls: readonly string[], cidrs: readonly string[]): string[] {
  // One for each family: a block of IPv6 lets out to no IPv4 address, which a common list would find in ::/0.
  const blocks = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const cidr of cidrs) {
    const { address, bits } = parseCidr(cidr);
    const family = familyOf(address);
    blocks[family].addSubnet(address, bits, family);
  }
  return urls
    .map((url) => addressOf(url).host)
    .filter((host) => {
      const address = host.replace(/^\[(.*)\]$/, "$1");
      const family = familyOf(address);
      return isIP(address) !== 0 && !blocks[family].check(address, family);
    });
}

function parseCidr(cidr: string): { readonly address: string; readonly bits: number } {
  const slash = cidr.indexOf("/");
  return { address: cidr.slice(0, slash), bits: Number(cidr.slice(slash + 1)) };
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}
