import { expect } from "chai";
import { checkRestorable, checkSupported } from "../../runtime/domain/recovery-points/version-rule.ts";
import { codeOf } from "../support/expect-code.ts";

const refusalOf = (act: () => void) => codeOf(Promise.resolve().then(act));

describe("Qdrant versions", () => {
  for (const version of ["1.16.0", "1.16.3", "1.17.1", "1.18.2", "1.19.0", "v1.18.2", "1.19.0-dev"]) {
    it(`works with ${version}`, async () => {
      expect(checkSupported(version)).to.equal(undefined);
    });
  }

  for (const version of ["1.20.0", "v1.20.1", "1.190.0"]) {
    it(`works with ${version}, and says that it was not tried`, () => {
      expect(checkSupported(version)).to.match(
        /^Qdrant v?1\.\S+ is newer than 1\.19, with which this release was tried/,
      );
    });
  }

  for (const version of ["1.15.9", "2.16.0", "0.16.3", "1.1.16", "", "latest", "1", "1.16", "x1.16.0"]) {
    it(`refuses ${JSON.stringify(version)} as VERSION_UNSUPPORTED`, async () => {
      expect(await refusalOf(() => checkSupported(version))).to.equal("VERSION_UNSUPPORTED");
    });
  }

  const restores: [from: string, to: string, isAllowed: boolean][] = [
    ["1.16.3", "1.16.3", true],
    ["1.16.3", "1.16.0", true],
    ["1.16.3", "1.17.0", true],
    ["1.16.3", "1.18.2", false],
    ["1.19.0", "1.20.0", true],
    ["1.20.0", "1.21.3", true],
    ["1.19.0", "1.21.0", false],
    ["1.17.0", "1.16.3", false],
    ["1.16.3", "2.16.3", false],
    ["1.16.3", "2.17.0", false],
  ];
  for (const [from, to, isAllowed] of restores) {
    it(`${isAllowed ? "restores" : "refuses to restore"} a point of ${from} on ${to}`, async () => {
      expect(await refusalOf(() => checkRestorable(from, to))).to.equal(isAllowed ? undefined : "VERSION_UNSUPPORTED");
    });
  }
});
