import { expect } from "chai";
import { checksumInList, checksumInRelease } from "../../../setup/official-source.mjs";

const SUM = "a".repeat(64);

describe("setup: published checksums", () => {
  it("finds a file in a list by its whole name", () => {
    const list = `${"b".repeat(64)}  tool.tar.gz.sig\n${SUM}  tool.tar.gz\n`;
    expect(checksumInList(list, "tool.tar.gz")).to.equal(SUM);
    expect(checksumInList(list, "tool.tar")).to.equal(undefined);
  });

  it("reads lists that mark binary files and write letters large", () => {
    expect(checksumInList(`${SUM.toUpperCase()} *tool.tar.gz\r\n`, "tool.tar.gz")).to.equal(SUM);
  });

  it("does not take something else for a checksum", () => {
    expect(checksumInList("<html>  tool.tar.gz", "tool.tar.gz")).to.equal(undefined);
    expect(checksumInList(`${SUM}ff  tool.tar.gz`, "tool.tar.gz")).to.equal(undefined);
  });

  it("takes the SHA-256 digest of a release's file, and no digest of another kind", () => {
    const release = (digest: string | null) => JSON.stringify({ assets: [{ name: "x" }, { name: "tool", digest }] });
    expect(checksumInRelease(release(`sha256:${SUM}`), "tool")).to.equal(SUM);
    expect(checksumInRelease(release(`md5:${SUM}`), "tool")).to.equal(undefined);
    expect(checksumInRelease(release(null), "tool")).to.equal(undefined);
    expect(checksumInRelease("{}", "tool")).to.equal(undefined);
  });
});
