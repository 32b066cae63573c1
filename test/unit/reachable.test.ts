import { expect } from "chai";
import { hostsOutside, withoutNodeServices } from "../../runtime/domain/network/reachable.ts";

describe("addresses that a network lets pods out to", () => {
  const cases: readonly [string, readonly string[], boolean][] = [
    ["http://10.8.0.1:6333", ["10.8.0.0/16"], true],
    ["http://10.8.255.255:6333", ["10.8.0.0/16"], true],
    ["http://10.9.0.0:6333", ["10.8.0.0/16"], false],
    ["http://10.9.0.0:6333", ["10.8.0.0/16", "10.9.0.0/32"], true],
    ["http://10.9.0.1:6333", ["10.8.0.0/16", "10.9.0.0/32"], false],
    ["http://203.0.113.9", ["0.0.0.0/0"], true],
    ["http://[2001:db8:1::7]:6333", ["2001:db8:1::/48"], true],
    ["http://[2001:db8:2::7]:6333", ["2001:db8:1::/48"], false],
    ["http://[2001:db8:2::7]:6333", ["0.0.0.0/0"], false],
    ["http://[2001:db8:2::7]:6333", ["::/0"], true],
    ["http://10.8.0.1", ["::/0"], false],
    ["http://[2001:db8::ffff]", ["2001:db8::fffe/127"], true],
    ["http://[2001:db8::fffd]", ["2001:db8::fffe/127"], false],
  ];
  for (const [url, cidrs, isInside] of cases) {
    it(`${url} is ${isInside ? "in" : "outside"} ${cidrs.join(" and ")}`, () => {
      expect(hostsOutside([url], cidrs)).to.deep.equal(isInside ? [] : [new URL(url).hostname]);
    });
  }

  it("names are not judged", () => {
    expect(hostsOutside(["http://qdrant-0.dr.example:6333", "http://1.example"], ["10.0.0.0/8"])).to.deep.equal([]);
  });

  it("of a block that holds them, the addresses of nodes' own services are left out", () => {
    expect(withoutNodeServices("0.0.0.0/0")).to.deep.equal({ cidr: "0.0.0.0/0", except: ["169.254.0.0/16"] });
    expect(withoutNodeServices("160.0.0.0/4")).to.deep.equal({ cidr: "160.0.0.0/4", except: ["169.254.0.0/16"] });
    expect(withoutNodeServices("fd00::/8")).to.deep.equal({
      cidr: "fd00::/8",
      except: ["fd00:ec2::/32", "fd20:ce::/64"],
    });
    for (const cidr of ["10.0.0.0/8", "2001:db8::/32", "169.254.169.254/32"]) {
      expect(withoutNodeServices(cidr)).to.deep.equal({ cidr });
    }
  });
});
