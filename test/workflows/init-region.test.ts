/** `init` on a real Qdrant and folders: killed at every effect and run again, with a person who answers, and where it must refuse. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { expect } from "chai";
import { compose } from "../../runtime/composition/compose.ts";
import type { Deps } from "../../runtime/composition/deps.ts";
import { DrError } from "../../runtime/errors.ts";
import type { ObjectStore } from "../../runtime/ports/object-store.ts";
import { readEpochs } from "../../runtime/repository/control/epochs.ts";
import { type InitRegionRequest, type InitTools, initRegion } from "../../runtime/workflows/init/init-region.ts";
import type { RegionSession } from "../../runtime/workflows/region-session.ts";
import { silently, systemClock } from "../support/estates/recovery-estate.ts";
import { codeOf } from "../support/expect-code.ts";
import { looksOf } from "../support/servers/looks-of.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const killed = "killed";
function unlessKilled(error: unknown): undefined {
  if (error instanceof Error && error.message === killed) return undefined;
  throw error;
}

describe("init of an own Qdrant", function () {
  this.timeout(120_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-init-"));
  let server: QdrantServer;
  let deps: Deps;
  let number = 0;

  before(async () => {
    server = await QdrantServer.start();
    deps = await compose({ progress: silently, onInterrupt: () => () => undefined });
  });

  after(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A folder of its own for a settings file, with Qdrant's key in it. */
  function place(): string {
    const own = join(folder, String(++number));
    mkdirSync(own);
    writeFileSync(join(own, "qdrant"), `${server.apiKey}\n`);
    return own;
  }

  const request = (own: string, options: Partial<InitRegionRequest> = {}): InitRegionRequest => ({
    tools: toolsWith(),
    qdrant: server.url,
    store: "backups",
    settings: join(own, "qdrant-dr.yaml"),
    region: "main",
    apiKeyFile: join(own, "qdrant"),
    asksNothing: true,
    run: `run-${++number}`,
    clock: systemClock,
    progress: silently,
    ...options,
  });

  /** @param effect hears of every effect before it is made, and ends the run by throwing. */
  function toolsWith(effect: () => void = () => undefined, shown: string[] = []): InitTools {
    const { initTools } = deps;
    const counted = (session: RegionSession): RegionSession => {
      const store = (real: ObjectStore): ObjectStore => ({
        ...looksOf(real),
        get: (...given) => real.get(...given),
        list: (prefix) => real.list(prefix),
        checksumOf: (key) => real.checksumOf(key),
        create: async (...given) => {
          // What a probe leaves is in nobody's way.
          if (!given[0].startsWith("probes/")) effect();
          return real.create(...given);
        },
      });
      const { control, repository } = session.stores;
      return Object.assign(Object.create(session) as RegionSession, {
        stores: { control: store(control), repository: store(repository) },
      });
    };
    return {
      ...initTools,
      terminal: { ...initTools.terminal, isInteractive: false, show: (text) => void shown.push(text) },
      files: {
        ...initTools.files,
        create: async (path, text) => {
          effect();
          return initTools.files.create(path, text);
        },
      },
      prepareStore: async (address) => {
        effect();
        await initTools.prepareStore(address);
      },
      open: (region) => counted(initTools.open(region)),
      openSettings: async (path, name) => counted(await initTools.openSettings(path, name)),
    };
  }

  it("killed before each of its effects, and run again, ends with settings, keys and one first epoch", async () => {
    for (let last = 1; ; last += 1) {
      const own = place();
      const shown: string[] = [];
      let effects = 0;
      const dies = () => {
        effects += 1;
        if (effects >= last) throw new Error(killed);
      };
      const first = await initRegion(request(own, { tools: toolsWith(dies, shown) })).catch(unlessKilled);
      if (first !== undefined) {
        expect(last).to.equal(7);
        break;
      }
      const hadSettings = readdirSync(own).includes("qdrant-dr.yaml");
      const { epoch, isNew } = await initRegion(request(own, { tools: toolsWith(undefined, shown) }));
      expect([epoch, isNew]).to.deep.equal([1, !hadSettings]);
      expect(readdirSync(own)).to.have.members([
        "backups",
        "qdrant",
        "qdrant-dr.key",
        "qdrant-dr.signing-key",
        "qdrant-dr.yaml",
      ]);
      const offline = /AGE-SECRET-KEY-\S+/.exec(shown.at(-1) ?? "")?.[0] ?? "";
      const file = await deps.settings({ settings: join(own, "qdrant-dr.yaml") });
      // The identity that was shown last is the one that opens.
      expect(file?.settings.keys.recipients[1]).to.equal(await identityToRecipient(offline));
      const session = await deps.access(undefined, { settings: join(own, "qdrant-dr.yaml") });
      const { keys } = await session.repositoryForWriting();
      expect((await keys.make("repository")).id).to.be.a("string");
    }
  });

  it("asks what no option says, and keeps a key that is typed in a file", async () => {
    const own = place();
    const answers: Record<string, string> = { "URL of": server.url, Where: "backups", Press: "" };
    const asked: string[] = [];
    const terminal: InitTools["terminal"] = {
      isInteractive: true,
      ask: async (question) => {
        asked.push(question);
        return Object.entries(answers).find(([begin]) => question.startsWith(begin))?.[1] ?? "";
      },
      askSecret: async () => server.apiKey,
      show: () => undefined,
    };
    await initRegion(
      request(own, {
        tools: { ...toolsWith(), terminal },
        ...{ qdrant: undefined, store: undefined, apiKeyFile: undefined, asksNothing: false },
      }),
    );
    expect(asked).to.have.length(3);
    expect(readFileSync(join(own, "qdrant-dr.qdrant-key"), "utf8").trim()).to.equal(server.apiKey);
    expect(readFileSync(join(own, "qdrant-dr.yaml"), "utf8")).not.to.contain(server.apiKey);
    const session = await deps.access(undefined, { settings: join(own, "qdrant-dr.yaml") });
    expect(await session.database.collections()).to.deep.equal([]);
  });

  it("writes the offline identity to a file, and takes the one that is there", async () => {
    const [own, other] = [place(), place()];
    const offlineKeyFile = join(own, "offline.key");
    const recipients: string[] = [];
    for (const at of [own, other]) {
      await initRegion(request(at, { offlineKeyFile }));
      const file = await deps.settings({ settings: join(at, "qdrant-dr.yaml") });
      recipients.push(file?.settings.keys.recipients[1] ?? "");
    }
    expect(recipients[0]).to.equal(recipients[1]);
  });

  it("refuses other settings than those that are there, a store of another region and one with other keys", async () => {
    const own = place();
    await initRegion(request(own));
    expect(await codeOf(initRegion(request(own, { store: "elsewhere" })))).to.equal("USAGE");
    const store = join(own, "backups");
    expect(await codeOf(initRegion(request(place(), { store, region: "other" })))).to.equal("KEY_UNAVAILABLE");
    await (await deps.access(undefined, { settings: join(own, "qdrant-dr.yaml") })).repositoryForWriting();
    const stranger = place();
    expect(await codeOf(initRegion(request(stranger, { store })))).to.equal("KEY_UNAVAILABLE");
    expect(readdirSync(stranger)).to.deep.equal(["qdrant"]);
    // With the former keys beside the new settings it goes on.
    for (const name of ["qdrant-dr.key", "qdrant-dr.signing-key"]) {
      writeFileSync(join(stranger, name), readFileSync(join(own, name)));
    }
    expect(await initRegion(request(stranger, { store }))).to.include({ isNew: true, epoch: 1 });
  });

  it("begins on another machine with the offline identity as it was shown, and with no other file", async () => {
    const lost = place();
    const shown: string[] = [];
    await initRegion(request(lost, { tools: toolsWith(undefined, shown) }));
    await (await deps.access(undefined, { settings: join(lost, "qdrant-dr.yaml") })).repositoryForWriting();
    const store = join(lost, "backups");
    const [, noted = ""] = (shown.at(-1) ?? "").split("# qdrant-dr");
    expect(noted).to.contain("AGE-SECRET-KEY-").and.contain("# trust: ");

    const bare = place();
    writeFileSync(join(bare, "qdrant-dr.key"), noted.replace(/^# trust: .*$/m, ""));
    const error = await initRegion(request(bare, { store })).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(DrError);
    expect((error as DrError).hint).to.contain("`# trust:`");

    const own = place();
    writeFileSync(join(own, "qdrant-dr.key"), `# qdrant-dr${noted}`);
    expect(await initRegion(request(own, { store }))).to.include({
      ...{ isNew: true, epoch: 1, holdsRecoveryPoints: false },
    });
    const session = await deps.access(undefined, { settings: join(own, "qdrant-dr.yaml") });
    const { description, keys } = await session.repositoryForWriting();
    await keys.key(description.key);
    const file = await deps.settings({ settings: join(own, "qdrant-dr.yaml") });
    // What the lost machine and its offline identity had signed, and what this one and its new one will sign.
    expect(new Set(file?.settings.trust.keys.map(({ key }) => key)).size).to.equal(4);
  });

  it("becomes the standby of another region: the same keys and first epoch, also when it was killed", async () => {
    const first = place();
    await initRegion(request(first));
    const peer = join(first, "qdrant-dr.yaml");
    // Before keys, settings, and the records of either region.
    for (const last of [3, 4, 5, 6]) {
      const own = place();
      let effects = 0;
      const dies = () => {
        effects += 1;
        if (effects >= last) throw new Error(killed);
      };
      const beside = (tools: InitTools) => request(own, { peer, region: undefined, tools });
      expect(await initRegion(beside(toolsWith(dies))).catch(unlessKilled)).to.equal(undefined);
      const { epoch, region } = await initRegion(beside(toolsWith()));
      expect([region, epoch]).to.deep.equal(["standby", 1]);
      const settings = join(own, "qdrant-dr.yaml");
      const here = await deps.access(undefined, { settings });
      const there = await deps.access("main", { settings });
      expect([here.region.peer, there.region.peer]).to.deep.equal(["main", "standby"]);
      expect(there.region.keys).to.deep.equal(here.region.keys);
      expect(await there.database.collections()).to.deep.equal(await here.database.collections());
      expect((await readEpochs(here.stores.control)).map(({ active }) => active)).to.deep.equal(["main"]);
    }
    expect(await codeOf(initRegion(request(place(), { peer: join(folder, "none.yaml") })))).to.equal("USAGE");
    const other = place();
    writeFileSync(join(other, "qdrant-dr.key"), await generateIdentity());
    expect(await codeOf(initRegion(request(other, { peer })))).to.equal("SETTING_INVALID");
  });

  it("leaves nothing where Qdrant or the store cannot be used", async () => {
    const wrong: [Partial<InitRegionRequest>, string][] = [
      [{ qdrant: "http://127.0.0.1:1" }, "UNREACHABLE"],
      [{ qdrant: "http://user:secret@127.0.0.1:1" }, "SETTING_INVALID"],
      [{ apiKeyFile: undefined }, "ACCESS_DENIED"],
      [{ apiKeyFile: undefined, apiKeyInEnvironment: "another key" }, "ACCESS_DENIED"],
      [{ apiKeyFile: "no-such-file" }, "SETTING_INVALID"],
      [{ store: "not/mounted/backups" }, "UNREACHABLE"],
      [{ store: "gs://bucket" }, "SETTING_INVALID"],
      [{ region: "Not A Name" }, "SETTING_INVALID"],
      [{ qdrant: undefined }, "USAGE"],
    ];
    const own = place();
    for (const [options, code] of wrong) {
      expect(await codeOf(initRegion(request(own, options))), JSON.stringify(options)).to.equal(code);
      expect(readdirSync(own)).to.deep.equal(["qdrant"]);
    }
  });

  it("blames no settings file that is not there for what an option says", async () => {
    const own = place();
    const error = await initRegion(request(own, { qdrant: "127.0.0.1" })).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(DrError);
    const { hint, message } = error as DrError;
    expect(message).to.contain(
      `what was asked for cannot be written to ${join(own, "qdrant-dr.yaml")}: qdrant.url: "127.0.0.1"`,
    );
    expect(hint).to.contain("qdrant-dr init --help").and.not.contain("correct it there");
  });

  it("refuses a key that may only read, and a store that replaces objects", async () => {
    const denied = toolsWith();
    const readsOnly = place();
    writeFileSync(join(readsOnly, "qdrant"), server.readOnlyKey);
    expect(await codeOf(initRegion(request(readsOnly)))).to.equal("ACCESS_DENIED");
    expect(readdirSync(readsOnly)).to.deep.equal(["qdrant"]);
    const replacing: InitTools = {
      ...denied,
      open: (region) => {
        const session = denied.open(region);
        const create = async () => "created" as const;
        const control = Object.assign(Object.create(session.stores.control), {
          create,
          get: async () => Buffer.from(""),
        });
        return Object.assign(Object.create(session) as RegionSession, { stores: { ...session.stores, control } });
      },
    };
    const own = place();
    expect(await codeOf(initRegion(request(own, { tools: replacing })))).to.equal("NOT_SUPPORTED");
    expect(readdirSync(own)).not.to.include("qdrant-dr.yaml");
  });
});
