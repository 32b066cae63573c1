import { expect } from "chai";
import { captureGapMinutes, parseRegionSettings } from "../../runtime/domain/settings/region-settings.ts";
import { readStoreLocation } from "../../runtime/domain/settings/store-location.ts";
import { trust } from "../support/estates/test-trust.ts";

const least = {
  qdrant: { url: "http://127.0.0.1:6333" },
  store: "s3://backups/qdrant",
  keys: {
    recipients: ["age1operational", "age1recovery"],
    identity: { file: "qdrant-dr.key" },
    signing: { file: "qdrant-dr.signing-key" },
  },
  trust,
};

const secret = "hunter2-hunter2";

describe("region settings", () => {
  it("give everything but Qdrant, store and keys a default", () => {
    const settings = parseRegionSettings("qdrant-dr.yaml", least);
    expect(settings.region).to.equal("main");
    expect(settings.schedules).to.deep.equal({
      full: "0 2 * * *",
      incremental: "0 */4 * * *",
      verify: "0 4 * * *",
      testRestore: "0 5 * * 0",
      prune: "30 5 * * *",
      drill: "0 6 1 * *",
    });
    expect(settings.retention.atLeast).to.equal(3);
    expect(settings.serve).to.deep.equal({ host: "127.0.0.1", port: 9464 });
    expect(settings.alerts).to.deep.equal({ webhooks: [] });
    expect(captureGapMinutes(settings.schedules)).to.equal(240);
  });

  const refused: [string, object, string][] = [
    ["a slip in a name", { shedules: {} }, "shedules: there is no such setting"],
    ["a slip below a group", { schedules: { ful: "off" } }, "schedules.ful: there is no such setting"],
    ["no Qdrant", { qdrant: {} }, "qdrant: what is given is not allowed (either `url` or `peers`)"],
    ["no port that exists", { qdrant: { url: "http://a:0" } }, 'qdrant.url: "http://a:0" is not allowed'],
    ["a login in a URL", { qdrant: { url: `http://a:${secret}@b` } }, "qdrant.url: "],
    ["a store of another kind", { store: "gs://bucket" }, 'store: "gs://bucket" is not allowed (a folder, or s3://'],
    ["S3 settings of a folder", { store: "/srv", s3: {} }, "s3: what is given is not allowed (for a store at s3://"],
    ["no schedule", { schedules: { full: "daily" } }, 'schedules.full: "daily" is not allowed (a cron expression'],
    [
      "an unreachable objective",
      { objectives: { rpoMinutes: 15 } },
      "objectives.rpoMinutes: 15 is not allowed (240 or",
    ],
    ["one recipient", { keys: { ...least.keys, recipients: ["age1a"] } }, "keys.recipients: "],
    [
      "no identity",
      { keys: { recipients: least.keys.recipients, signing: least.keys.signing } },
      "keys.identity: nothing is not allowed (a ref",
    ],
    ["a secret in the clear", { qdrant: { url: "http://a:1", apiKey: secret } }, "qdrant.apiKey: what is given"],
    ["a secret in a list", { alerts: { webhooks: [{ url: secret }] } }, "alerts.webhooks.0.url: what is given"],
    ["a secret for its name", { alerts: { heartbeat: { env: secret } } }, "alerts.heartbeat.env: what is given"],
    ["a list for a group", { qdrant: ["http://a:1", secret] }, "qdrant: what is given is not allowed"],
    [
      "a lease in a region's own store",
      {
        gate: {
          url: "http://127.0.0.1:6433",
          clientKey: { env: "A" },
          controlToken: { env: "B" },
          lease: { store: least.store },
        },
      },
      "gate.lease.store: ",
    ],
    [
      "a lease that is held for longer than anybody waits for it",
      {
        gate: {
          url: "http://127.0.0.1:6433",
          clientKey: { env: "A" },
          controlToken: { env: "B" },
          lease: { store: "s3://third", seconds: 301 },
        },
      },
      "gate.lease.seconds: 301 is not allowed",
    ],
    ["itself as its peer", { peer: { qdrant: least.qdrant, store: "s3://other", region: "main" } }, "peer.region: "],
    ["one store for both regions", { peer: { qdrant: least.qdrant, store: least.store, region: "b" } }, "peer.store: "],
    ["two places of a secret", { alerts: { heartbeat: { env: "A", file: "a" } } }, "alerts.heartbeat: what is given"],
    [
      "a user without a password",
      { alerts: { email: { host: "a", user: "b", from: "a@b.cd", to: ["a@b.cd"] } } },
      "alerts.email: ",
    ],
  ];
  for (const [what, given, message] of refused) {
    it(`refuse ${what}, by the setting's name, and show no secret`, () => {
      expect(() => parseRegionSettings("/etc/qdrant-dr.yaml", { ...least, ...given }))
        .to.throw("/etc/qdrant-dr.yaml: ")
        .with.property("message")
        .that.includes(message)
        .and.does.not.include(secret);
    });
  }

  it("refuse what is no group of settings", () => {
    for (const given of [null, "text", [least], 1]) expect(() => parseRegionSettings("f", given)).to.throw("f: ");
  });
});

describe("a store's location", () => {
  const read: [string, object][] = [
    ["/srv/backups", { kind: "file", folder: "/srv/backups" }],
    ["backups", { kind: "file", folder: "backups" }],
    ["s3://bucket", { kind: "s3", bucket: "bucket" }],
    ["s3://bucket/", { kind: "s3", bucket: "bucket" }],
    ["s3://bucket/a/b/", { kind: "s3", bucket: "bucket", prefix: "a/b" }],
  ];
  for (const [text, location] of read) {
    it(`is read from ${text}`, () => expect(readStoreLocation(text)).to.deep.equal(location));
  }
  for (const text of [
    "",
    " ",
    "s3://",
    "s3://Bucket/a",
    "s3://bucket//a",
    "s3://bucket/../a",
    "s3://bucket/ä",
    "https://x",
  ]) {
    it(`is not read from ${JSON.stringify(text)}`, () => expect(readStoreLocation(text)).to.have.property("problem"));
  }
});
