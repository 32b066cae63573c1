import { expect } from "chai";
import { checksumInList } from "../../../setup/official-source.mjs";

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
});
