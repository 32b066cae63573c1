/** Where a network lets a pod out to. */
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

/** Blocks from which every cloud's nodes answer who asks, among other things with the node's own credentials. */
const ofNodes = ["169.254.0.0/16", "fd00:ec2::/32", "fd20:ce::/64"];

/** A block without what no pod has to reach in it. */
export interface EgressBlock {
  readonly cidr: string;
  readonly except?: string[];
}

/** The block without the addresses of nodes' own services; one that lies within those is as it was given. */
export function withoutNodeServices(cidr: string): EgressBlock {
  const { address, bits } = parseCidr(cidr);
  const family = familyOf(address);
  const block = new BlockList();
  block.addSubnet(address, bits, family);
  const except = ofNodes.filter((other) => {
    const { address: first, bits: otherBits } = parseCidr(other);
    return familyOf(first) === family && otherBits > bits && block.check(first, family);
  });
  return except.length === 0 ? { cidr } : { cidr, except };
}

function parseCidr(cidr: string): { readonly address: string; readonly bits: number } {
  const slash = cidr.indexOf("/");
  return { address: cidr.slice(0, slash), bits: Number(cidr.slice(slash + 1)) };
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}
