import { expect } from "chai";
import { bucketKind } from "../../quickstart/provider/bucket-kind.ts";
import { processKind } from "../../quickstart/provider/process-kind.ts";
import type { Inputs, ResourceKind } from "../../quickstart/provider/resource-kind.ts";
import { routeKind } from "../../quickstart/provider/route-kind.ts";
import { plainInputs } from "../../quickstart/provider/secrets.ts";
import { closedPorts } from "../support/estates/lonely-region.ts";

const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const signature = "4dabf18193072939515e22adb298388d";
const secretSignature = "1b47061264138c4ac30d75fd1eb44270";
const assetSignature = "c44067f5952c0a294b673a41bacd8c17";

const processInputs = {
  estate: "e1",
  name: "primary-qdrant",
  command: "qdrant",
  args: ["--config", "a"],
  env: { KEY: "secret" },
  folder: "/estates/e1/primary/qdrant",
  ports: [20_000, 20_001],
  readyUrls: ["http://127.0.0.1:20000/readyz"],
  leftovers: [],
};
const bucketInputs = {
  kind: "s3",
  bucket: "primary-repository",
  region: "us-east-1",
  endpoint: "http://127.0.0.1:20002",
  credentials: { accessKeyId: "id", secretAccessKey: "key" },
};
const routeInputs = {
  controlUrl: "http://127.0.0.1:20010/.qdrant-dr/route",
  controlToken: "token",
  region: "primary",
  epoch: 1,
};

describe("provider: check", () => {
  const tables: Record<string, [ResourceKind, Inputs, [property: string, value: unknown][]]> = {
    Process: [
      processKind,
      processInputs,
      [
        ["estate", ""],
        ["name", ""],
        ["command", undefined],
        ["folder", "relative"],
        ["readyUrls", "nowhere"],
        ["readyUrls", []],
        ["args", "--config"],
        ["env", ["KEY"]],
        ["ports", "20000"],
        ["leftovers", undefined],
      ],
    ],
    Bucket: [
      bucketKind,
      bucketInputs,
      [
        ["bucket", "Upper"],
        ["bucket", "-a-"],
        ["bucket", "ab"],
        ["endpoint", "127.0.0.1"],
        ["credentials", undefined],
        ["kind", "file"],
      ],
    ],
    Route: [
      routeKind,
      routeInputs,
      [
        ["epoch", 0],
        ["epoch", 1.5],
        ["controlUrl", "nowhere"],
        ["region", undefined],
        ["controlToken", 1],
      ],
    ],
  };
  for (const [type, [kind, good, wrong]] of Object.entries(tables)) {
    it(`${type}: accepts what is right, and inputs that a preview cannot know`, () => {
      expect(kind.check(good)).to.deep.equal([]);
      for (const property of Object.keys(good)) expect(kind.check({ ...good, [property]: unknown })).to.deep.equal([]);
    });
    for (const [property, value] of wrong) {
      it(`${type}: refuses ${property} ${JSON.stringify(value) ?? "left out"}, naming it alone`, () => {
        const failures = kind.check({ ...good, [property]: value });
        expect(failures.map((failure) => failure.property)).to.deep.equal([property]);
        expect(failures[0]?.reason).to.be.a("string").that.is.not.empty;
      });
    }
  }

  it("names a wrong member of a list and of a map by its path, and never shows a secret", () => {
    expect(processKind.check({ ...processInputs, ports: [20_000, 70_000] })[0]?.property).to.equal("ports.1");
    const secret = ["a-secret-in-the-wrong-form"];
    const failures = processKind.check({ ...processInputs, env: { KEY: secret } });
    expect(failures[0]?.property).to.equal("env.KEY");
    expect(JSON.stringify(failures)).not.to.contain(secret[0]);
  });
});

describe("provider: diff", () => {
  const up = { ...processInputs, pid: 4711, isRunning: true };

  it("Process: the same inputs of a running one are no change, in whatever order they come", async () => {
    const reversed = Object.fromEntries(Object.entries(processInputs).reverse());
    expect(await processKind.diff(up, reversed)).to.deep.include({ changes: false, replaces: [] });
  });

  it("Process: a dead one is changed in place", async () => {
    const dead = { ...up, pid: 0, isRunning: false };
    expect(await processKind.diff(dead, processInputs)).to.deep.include({ changes: true, replaces: [] });
  });

  for (const [property, value] of Object.entries({
    command: "other",
    args: ["--config", "b"],
    env: { KEY: "other" },
    folder: "/elsewhere",
    ports: [20_001, 20_000],
    readyUrls: ["http://127.0.0.1:20001/readyz"],
    leftovers: ["/tmp/a.sock"],
  })) {
    it(`Process: another ${property} is a change in place`, async () => {
      const diff = await processKind.diff(up, { ...processInputs, [property]: value });
      expect(diff).to.deep.include({ changes: true, replaces: [] });
    });
  }

  for (const property of ["estate", "name"]) {
    it(`Process: another ${property} is another process, and the old one ends first`, async () => {
      const diff = await processKind.diff(up, { ...processInputs, [property]: "other" });
      expect(diff).to.deep.equal({ changes: true, replaces: [property], deleteBeforeReplace: true });
    });
  }

  it("Bucket: only its name and its store replace it; new keys and lost versioning change it in place", async () => {
    const made = { ...bucketInputs, isVersioned: true };
    const diff = (news: Inputs, olds: Inputs = made) => bucketKind.diff(olds, { ...bucketInputs, ...news });
    expect(await diff({})).to.deep.equal({ changes: false, replaces: [] });
    expect(await diff({ bucket: "other" })).to.deep.equal({ changes: true, replaces: ["bucket"] });
    expect(await diff({ endpoint: "http://127.0.0.1:1" })).to.deep.equal({ changes: true, replaces: ["endpoint"] });
    const credentials = { accessKeyId: "id", secretAccessKey: "other" };
    expect(await diff({ credentials })).to.deep.equal({ changes: true, replaces: [] });
    expect(await diff({}, { ...made, isVersioned: false })).to.deep.equal({ changes: true, replaces: [] });
  });

  it("Route: never replaced; changed by each of its inputs, and when it is not in force", async () => {
    const made = { ...routeInputs, isInForce: true };
    expect(await routeKind.diff(made, routeInputs)).to.deep.equal({ changes: false });
    expect(await routeKind.diff({ ...made, isInForce: false }, routeInputs)).to.deep.equal({ changes: true });
    for (const property of Object.keys(routeInputs)) {
      expect(await routeKind.diff(made, { ...routeInputs, [property]: "other" })).to.deep.equal({ changes: true });
    }
  });
});

describe("provider: read", () => {
  it("Bucket: of a store that is dead it is known that it was declared, and not that it is as it should be", async () => {
    const [port] = await closedPorts(1);
    const endpoint = `http://127.0.0.1:${port}`;
    expect(await bucketKind.read({ ...bucketInputs, endpoint, isVersioned: true })).to.deep.equal({
      isVersioned: false,
    });
  });
});

describe("provider: secrets", () => {
  const secret = (value: unknown) => ({ [signature]: secretSignature, value });

  it("unwraps secrets wherever they stand: whole, in maps, in lists, in each other", () => {
    const inputs = {
      whole: secret({ key: secret("a") }),
      map: { key: secret("b"), plain: "c" },
      list: [secret("d"), [secret(["e", secret("f")])]],
    };
    expect(plainInputs(inputs)).to.deep.equal({
      whole: { key: "a" },
      map: { key: "b", plain: "c" },
      list: ["d", [["e", "f"]]],
    });
  });

  it("leaves everything else as it came, also other signed values and empty ones", () => {
    const inputs = { none: null, no: false, zero: 0, text: "", asset: { [signature]: assetSignature, text: "a" } };
    expect(plainInputs(inputs)).to.deep.equal(inputs);
  });
});
