import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { findSettingsFile, parseSettings } from "../../runtime/adapters/settings-file.ts";
import { compose } from "../../runtime/composition/compose.ts";
import { settingsText } from "../../runtime/domain/settings/settings-text.ts";
import { signing, trust } from "../support/estates/test-trust.ts";
import { codeOf, errorOf } from "../support/expect-code.ts";

const identity = "AGE-SECRET-KEY-1NOTREAL";
const answers = {
  region: "main",
  qdrant: ["http://127.0.0.1:6333"],
  apiKey: { env: "QDRANT_DR_TEST_KEY" },
  store: "backups",
  recipients: { operational: "age1operational", offline: "age1recovery" },
  identity: { file: "keys/qdrant-dr.key" },
  signing: { file: "keys/qdrant-dr.signing-key" },
  trust,
};

describe("settings file", () => {
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-settings-"));
  const path = join(folder, "qdrant-dr.yaml");
  const env = { QDRANT_DR_TEST_KEY: "key-of-qdrant\n" };

  before(() => {
    mkdirSync(join(folder, "keys"));
    writeFileSync(path, settingsText(answers));
    writeFileSync(join(folder, "keys", "qdrant-dr.key"), `# a comment\n${identity}\n`);
    writeFileSync(join(folder, "keys", "qdrant-dr.signing-key"), `# a comment\n${signing}\n`);
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  it("is written as it is read, also for a cluster and an S3 server", () => {
    const s3 = { endpoint: "http://127.0.0.1:9000", region: "eu-central-1" };
    const qdrant = ["http://10.0.0.1:6333", "http://10.0.0.2:6333"];
    const read = parseSettings(path, settingsText({ ...answers, qdrant, store: "s3://bucket/a", s3 }));
    expect(read).to.deep.include({ store: "s3://bucket/a", s3 });
    expect(read.qdrant).to.deep.equal({ peers: qdrant, apiKey: answers.apiKey });
    expect(read.keys.recipients).to.deep.equal(["age1operational", "age1recovery"]);
  });

  it("is found by its name, or by the variable; none is needed", async () => {
    expect((await findSettingsFile(path, {}))?.path).to.equal(path);
    expect((await findSettingsFile(undefined, { QDRANT_DR_SETTINGS: path }))?.path).to.equal(path);
    expect(await findSettingsFile(undefined, {})).to.equal(undefined);
  });

  it("that is named and is not there, or cannot be read, is refused", async () => {
    for (const named of [join(folder, "no.yaml"), folder]) {
      const error = await errorOf(findSettingsFile(named, {}));
      expect(error?.code).to.equal("SETTING_INVALID");
      expect(error?.message).to.contain(named);
    }
    expect(await codeOf(findSettingsFile(undefined, { QDRANT_DR_SETTINGS: join(folder, "no.yaml") }))).to.equal(
      "SETTING_INVALID",
    );
  });

  const unreadable: [what: string, text: string, said: string][] = [
    ["no YAML", "qdrant: [hunter2\nstore: x", "is not YAML in line"],
    ["a key twice", "region: a\nregion: hunter2", "is not YAML in line 2"],
    ["a value that begins with a star", "schedules:\n  full: */5 * * * *", "is not YAML"],
    ["an alias bomb", bomb(), "there are too many"],
    ["nothing", "", "is not allowed"],
  ];
  for (const [what, text, said] of unreadable) {
    it(`that holds ${what} is refused, and its words are not shown`, () => {
      expect(() => parseSettings("qdrant-dr.yaml", text))
        .to.throw(said)
        .with.property("message")
        .that.does.not.contain("hunter2");
    });
  }

  it("gives the secrets that it refers to, when they are asked for, without their line ends", async () => {
    const file = await findSettingsFile(path, env);
    expect(await file?.secret({ env: "QDRANT_DR_TEST_KEY" }, "a")).to.equal("key-of-qdrant");
    expect(await file?.secret({ file: "keys/qdrant-dr.key" }, "a")).to.contain(identity);
    writeFileSync(join(folder, "empty"), "\n");
    writeFileSync(join(folder, "large"), Buffer.alloc(70_000, "a"));
    for (const reference of [{ env: "NOT_SET" }, { file: "no" }, { file: "empty" }, { file: "large" }, { file: "." }]) {
      const error = await errorOf(file?.secret(reference, "qdrant.apiKey") ?? Promise.resolve());
      expect(error?.code, JSON.stringify(reference)).to.equal("SETTING_INVALID");
      expect(error?.message).to.contain("qdrant.apiKey in ");
    }
  });

  describe("and the region that a command is about", () => {
    const keyBefore = process.env["QDRANT_DR_TEST_KEY"];
    const open = async (...given: Parameters<Awaited<ReturnType<typeof compose>>["access"]>) =>
      (await compose({ progress: () => undefined, onInterrupt: () => () => undefined })).access(...given);

    before(() => {
      process.env["QDRANT_DR_TEST_KEY"] = env.QDRANT_DR_TEST_KEY;
    });
    after(() => {
      if (keyBefore === undefined) delete process.env["QDRANT_DR_TEST_KEY"];
      else process.env["QDRANT_DR_TEST_KEY"] = keyBefore;
    });

    it("is the file's, with everything that a region has but a peer", async () => {
      for (const name of [undefined, "main"]) {
        const { origin, region } = await open(name, { settings: path });
        expect(origin).to.equal("settings");
        expect(region).to.deep.include({ region: "main", qdrant: { peers: answers.qdrant, apiKey: "key-of-qdrant" } });
        expect(region.keys.identity).to.equal(identity);
        expect(region.repository).to.deep.equal({ kind: "file", folder: join(folder, "backups", "repository") });
        expect(region.control).to.deep.equal({ kind: "file", folder: join(folder, "backups", "control") });
        expect(region.objectives).to.deep.equal({ rtoMinutes: 30, rpoMinutes: 300 });
        expect(region.peer).to.equal(undefined);
      }
    });

    it("opens with the offline identity when the file's own is lost", async () => {
      const lost = join(folder, "lost.yaml");
      writeFileSync(lost, settingsText({ ...answers, identity: { file: "gone.key" } }));
      expect(await codeOf(open(undefined, { settings: lost }))).to.equal("SETTING_INVALID");
      const identityFile = join(folder, "keys", "qdrant-dr.key");
      expect((await open(undefined, { settings: lost, identityFile })).region.keys.identity).to.equal(identity);
    });

    it("is refused when nothing names one, with both ways to do so, and when two ways contradict each other", async () => {
      const none = await errorOf(open(undefined, {}));
      expect(none?.code).to.equal("USAGE");
      expect(none?.hint).to.contain("qdrant-dr init").and.contain("--stack");
      expect(await codeOf(open("other", { settings: path }))).to.equal("USAGE");
      expect(await codeOf(open("main", { settings: path, outputs: folder }))).to.equal("USAGE");
    });
  });
});

function bomb(): string {
  const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"];
  for (let level = 1; level < 9; level += 1) {
    lines.push(
      `a${level}: &a${level} [${Array(9)
        .fill(`*a${level - 1}`)
        .join(", ")}]`,
    );
  }
  return lines.join("\n");
}
