/** Keys are built and taken apart in one place. QDRANT_DR_SEED chooses other values. */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import ts from "typescript";
import { newId } from "../../runtime/domain/identifier.ts";
import {
  type ControlKey,
  controlLayout,
  dayOf,
  hourOf,
  parseControlKey,
  parseStoreKey,
  type StoreKey,
  storeLayout,
} from "../../runtime/domain/recovery-points/store-layout.ts";
import { seeded } from "../support/seeded.ts";

const seed = Number(process.env["QDRANT_DR_SEED"] ?? 20_261_130);
const rounds = 200;

/** Builds a key of each kind from random parts. */
class Parts {
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  number(): number {
    return Math.floor(this.#random() * 10 ** Math.ceil(this.#random() * 9));
  }

  pick<const T>(choices: readonly [T, ...T[]]): T {
    return choices[Math.floor(this.#random() * choices.length)] ?? choices[0];
  }

  at(): Date {
    return new Date(Math.floor(this.#random() * 4e12));
  }

  id(): string {
    return this.pick([newId(this.at()), "a", "night 3", "01", "plan", "manifest", "started", "x-y-z", "Größe"]);
  }

  hex(): string {
    return Array.from({ length: 64 }, () => Math.floor(this.#random() * 16).toString(16)).join("");
  }

  word(): string {
    return this.pick(["copy", "last-writes", "open", "full", "test-restore"]);
  }
}

const storeKeys: { [Kind in StoreKey["kind"]]: (parts: Parts) => [string, Extract<StoreKey, { kind: Kind }>] } = {
  repository: () => [storeLayout.repository, { kind: "repository" }],
  journal: (parts) => {
    const [region, number] = [parts.word(), parts.number()];
    return [storeLayout.journalObject(region, number), { kind: "journal", region, number }];
  },
  pack: (parts) => {
    const id = parts.hex();
    return [storeLayout.pack(id), { kind: "pack", id }];
  },
  tree: (parts) => {
    const id = parts.hex();
    return [storeLayout.tree(id), { kind: "tree", id }];
  },
  facts: (parts) => {
    const id = parts.hex();
    return [storeLayout.collectionFacts(id), { kind: "facts", id }];
  },
  manifest: (parts) => {
    const recoveryPointId = parts.id();
    return [storeLayout.manifest(recoveryPointId), { kind: "manifest", recoveryPointId }];
  },
  healed: (parts) => {
    const [key, copy] = [storeLayout.pack(parts.hex()), 1 + (parts.number() % 9)];
    return [storeLayout.healedObject(key, copy), { kind: "healed", key, copy }];
  },
  attestation: (parts) => {
    const recoveryPointId = parts.id();
    const finding = parts.pick(["verified", "quarantined", "folders-quarantined", "later"]);
    const id = parts.id();
    const key = storeLayout.attestation(recoveryPointId, finding, id);
    return [key, { kind: "attestation", recoveryPointId, finding, id }];
  },
  "capture-plan": (parts) => {
    const session = parts.id();
    return [storeLayout.capturePlan(session), { kind: "capture-plan", session }];
  },
  "capture-part": (parts) => {
    const [session, worker] = [parts.id(), parts.number()];
    return [storeLayout.capturePart(session, worker), { kind: "capture-part", session, worker }];
  },
  "capture-committed": (parts) => {
    const session = parts.id();
    return [storeLayout.captureCommitted(session), { kind: "capture-committed", session }];
  },
  "session-alive": (parts) => {
    const [session, id] = [parts.id(), parts.id()];
    return [storeLayout.sessionAlive(session, id), { kind: "session-alive", session, id }];
  },
};

const controlKeys: { [Kind in ControlKey["kind"]]: (parts: Parts) => [string, Extract<ControlKey, { kind: Kind }>] } = {
  epoch: (parts) => {
    const epoch = parts.number();
    return [controlLayout.epoch(epoch), { kind: "epoch", epoch }];
  },
  "failover-step": (parts) => {
    const [epoch, step, run] = [parts.number(), parts.word(), parts.id()];
    const phase = parts.pick(["started", "done"]);
    return [controlLayout.failoverStep(epoch, step, phase, run), { kind: "failover-step", epoch, step, phase, run }];
  },
  heartbeat: (parts) => {
    const [epoch, run, beat] = [parts.number(), newId(parts.at()), parts.number()];
    return [controlLayout.heartbeat(epoch, run, beat), { kind: "heartbeat", epoch, run, beat }];
  },
  "scratch-upload": (parts) => {
    const [process, id] = [parts.word(), newId(parts.at())];
    const phase = parts.pick(["begun", "taken", "unknown"]);
    return [controlLayout.scratchUpload(process, id, phase), { kind: "scratch-upload", process, id, phase }];
  },
  "restore-started": (parts) => {
    const id = parts.id();
    return [controlLayout.restore(id), { kind: "restore-started", id }];
  },
  "restore-done": (parts) => {
    const id = parts.id();
    return [controlLayout.restoreDone(id), { kind: "restore-done", id }];
  },
  "restore-alive": (parts) => {
    const [id, sign] = [parts.id(), newId(parts.at())];
    return [controlLayout.restoreAlive(id, sign), { kind: "restore-alive", id, sign }];
  },
  run: (parts) => {
    const [at, id, run] = [parts.at(), parts.id(), parts.word()];
    return [controlLayout.run(at, id, run), { kind: "run", day: dayOf(at), id, run }];
  },
  snapshot: (parts) => {
    const id = parts.id();
    const phase = parts.pick(["making", "made", "gone"]);
    return [controlLayout.snapshot(id, phase), { kind: "snapshot", id, phase }];
  },
  "followed-position": (parts) => {
    const [at, id] = [parts.at(), parts.id()];
    return [controlLayout.standbyFollowedAt(at, id), { kind: "followed-position", hour: hourOf(at), id }];
  },
  "standby-state": (parts) => {
    const [at, id] = [parts.at(), parts.id()];
    const phase = parts.pick(["begun", "held"]);
    return [controlLayout.standbyState(at, phase, id), { kind: "standby-state", hour: hourOf(at), id, phase }];
  },
  key: (parts) => {
    const id = parts.hex();
    return [controlLayout.key(id), { kind: "key", id }];
  },
  "key-for": (parts) => {
    const [id, holders] = [parts.hex(), parts.hex()];
    return [controlLayout.keyFor(id, holders), { kind: "key-for", id, holders }];
  },
  "key-generation": (parts) => {
    const number = parts.number();
    return [controlLayout.keyGeneration(number), { kind: "key-generation", number }];
  },
  "restored-folder": (parts) => {
    const [epoch, name] = [parts.number(), "files"];
    return [controlLayout.restoredFolder(epoch, name), { kind: "restored-folder", epoch, name }];
  },
  heal: (parts) => {
    const id = newId(parts.at());
    return [controlLayout.heal(id), { kind: "heal", id }];
  },
  kept: (parts) => {
    const number = parts.number();
    return [controlLayout.keptRecoveryPoints(number), { kind: "kept", number }];
  },
  verification: (parts) => {
    const number = parts.number();
    return [controlLayout.verification(number), { kind: "verification", number }];
  },
  "verified-slot": (parts) => {
    const [slot, seconds] = [parts.number() % 256, parts.number()];
    return [controlLayout.verifiedSlot(slot, seconds), { kind: "verified-slot", slot, seconds }];
  },
  fence: (parts) => {
    const epoch = parts.number();
    return [controlLayout.fence(epoch), { kind: "fence", epoch }];
  },
  opening: (parts) => {
    const epoch = parts.number();
    return [controlLayout.opening(epoch), { kind: "opening", epoch }];
  },
  "lease-link": (parts) => {
    const [epoch, link] = [parts.number(), parts.number()];
    return [controlLayout.leaseLink(epoch, link), { kind: "lease-link", epoch, link }];
  },
  "failover-owner": (parts) => {
    const [epoch, turn] = [parts.number(), parts.number()];
    return [controlLayout.failoverOwner(epoch, turn), { kind: "failover-owner", epoch, turn }];
  },
  divergence: (parts) => {
    const [epoch, run] = [parts.number(), parts.id()];
    return [controlLayout.divergence(epoch, run), { kind: "divergence", epoch, run }];
  },
  "standby-turn": (parts) => {
    const turn = parts.number();
    return [controlLayout.standbyTurn(turn), { kind: "standby-turn", turn }];
  },
  "standby-capture": (parts) => {
    const [epoch, number] = [parts.number(), parts.number()];
    return [controlLayout.standbyCapture(epoch, number), { kind: "standby-capture", epoch, number }];
  },
  prune: (parts) => {
    const [number, what] = [parts.number(), parts.pick(["plan", "begun", "done"])];
    const key = { plan: controlLayout.prunePlan, begun: controlLayout.pruneBegun, done: controlLayout.pruneDone }[what];
    return [key(number), { kind: "prune", number, what }];
  },
  "prune-part": (parts) => {
    const [number, run, part] = [parts.number(), parts.id(), parts.number()];
    return [controlLayout.prunePart(number, run, part), { kind: "prune-part", number, run, part }];
  },
  "prune-part-done": (parts) => {
    const [number, part] = [parts.number(), parts.number()];
    return [controlLayout.prunePartDone(number, part), { kind: "prune-part-done", number, part }];
  },
  "prune-turn": (parts) => {
    const turn = parts.number();
    return [controlLayout.pruneTurn(turn), { kind: "prune-turn", turn }];
  },
  "scheduled-turn": (parts) => {
    const [run, turn] = [parts.word(), parts.number()];
    return [controlLayout.scheduledTurn(run, turn), { kind: "scheduled-turn", run, turn }];
  },
  "scheduled-end": (parts) => {
    const [run, turn] = [parts.word(), parts.number()];
    return [controlLayout.scheduledEnd(run, turn), { kind: "scheduled-end", run, turn }];
  },
  "scheduled-beat": (parts) => {
    const [run, turn, beat] = [parts.word(), parts.number(), parts.number()];
    return [controlLayout.scheduledBeat(run, turn, beat), { kind: "scheduled-beat", run, turn, beat }];
  },
  alert: (parts) => {
    const number = parts.number();
    return [controlLayout.alert(number), { kind: "alert", number }];
  },
  "alert-taken": (parts) => {
    const [number, receiver] = [parts.number(), parts.pick(["webhook", "email", "on-call team"])];
    return [controlLayout.alertTaken(number, receiver), { kind: "alert-taken", number, receiver }];
  },
  probe: (parts) => {
    const [id, name] = [parts.id(), parts.pick(["kept", "raced", "changed", "tried"])];
    return [controlLayout.probe(id, name), { kind: "probe", id, name }];
  },
  "paged-probe": (parts) => {
    const index = parts.number();
    return [controlLayout.pagedProbe(index), { kind: "paged-probe", index }];
  },
};

describe("keys of objects", () => {
  const kinds = [
    ...Object.entries(storeKeys).map(([kind, make]) => ({ kind, make, parse: parseStoreKey })),
    ...Object.entries(controlKeys).map(([kind, make]) => ({ kind, make, parse: parseControlKey })),
  ];

  for (const { kind, make, parse } of kinds) {
    it(`${kind}: a key is taken apart into what it was built of`, () => {
      const parts = new Parts(seeded(seed));
      for (let round = 0; round < rounds; round += 1) {
        const [key, builtOf] = make(parts);
        expect(parse(key), key).to.deep.equal(builtOf);
      }
    });

    it(`${kind}: a key with a character more or less is never taken for the one that it was`, () => {
      const random = seeded(seed);
      const parts = new Parts(random);
      for (let round = 0; round < rounds; round += 1) {
        const [key] = make(parts);
        const at = Math.floor(random() * key.length);
        for (const other of [key.slice(0, at) + key.slice(at + 1), `${key.slice(0, at)}/${key.slice(at)}`]) {
          expect(parse(other), `${key} as ${other}`).to.not.deep.equal(parse(key));
        }
      }
    });
  }

  it("are not of a kind whose key would be built otherwise", () => {
    const others = [
      ...["epochs/7.json", "epochs/00000000007.json", "trees/ff/00", "packs/00/", "sessions/a/parts/01", ""],
      // What systems, browsers of buckets and people leave there.
      ...["epochs/", "restores/", "restores/.DS_Store", "restores/._a.started.json", "snapshots/._a.made.json"],
      ...[
        "lost+found/x",
        "Thumbs.db",
        "packs/00/Thumbs.db",
        "recovery-points/0000-00-00/._a/manifest",
        "runs/2026-01-01/desktop.ini",
      ],
      ...[
        "epochs/0000000001.json~",
        "epochs/0000000001 (copy).json",
        "repository.json.bak",
        "recovery-points/0000-00-00/a/manifest.tmp",
      ],
    ];
    for (const key of others)
      expect([parseStoreKey(key), parseControlKey(key)], key).to.deep.equal([undefined, undefined]);
  });
});

/** Adapters know no layout: Qdrant's own addresses are theirs, and a store of files refuses keys that are no paths. */
const withoutLayout = /^adapters\//;

const runtime = fileURLToPath(new URL("../../runtime", import.meta.url));
const layoutFile = "domain/recovery-points/store-layout.ts";

const folders = [storeLayout, controlLayout]
  .flatMap((layout) => Object.values(layout))
  .flatMap((built) => (typeof built === "string" ? [built] : []));

/** Literals that begin with a folder of a store, and methods that take a key apart by its text. */
function handmadeKeys(source: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node) => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isRegularExpressionLiteral(node)) {
      const text = node.text.replace(/^\/\^?/, "").replaceAll("\\/", "/");
      if (folders.some((folder) => text.startsWith(folder)) && !isImported(node)) found.push(node.getText());
    }
    if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
      const method = node.expression.name.text;
      const [on, ...given] = [node.expression.expression, ...node.arguments].map((part) => part.getText());
      const isLayout = [on, ...given].some((text) => /\b(?:store|control)Layout\.\w+$/.test(text ?? ""));
      const isKey = /(?:^|\.)(?:key|keys|place)$/i.test(on ?? "") && /^(?:split|slice|substring|match)$/.test(method);
      if (isKey || (isLayout && /^(?:split|slice|substring|match|startsWith|endsWith|exec|test)$/.test(method))) {
        found.push(node.getText());
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile("source.ts", source, ts.ScriptTarget.Latest, true));
  return found;
}

function isImported(node: ts.Node): boolean {
  return ts.isImportDeclaration(node.parent);
}

describe("the layout of the stores", () => {
  it("is the only file of the product that builds keys or takes them apart", () => {
    const files = readdirSync(runtime, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"));
    expect(files).to.include(layoutFile);
    const found = files
      .filter((path) => relative(layoutFile, path) !== "" && !withoutLayout.test(path))
      .flatMap((path) => handmadeKeys(readFileSync(join(runtime, path), "utf8")).map((text) => `${path}: ${text}`));
    expect(found).to.deep.equal([]);
  });

  it("would be found elsewhere", () => {
    expect(handmadeKeys(readFileSync(join(runtime, layoutFile), "utf8"))).to.have.length.greaterThan(20);
    for (const line of [
      "const id = key.split('/')[1]",
      "const key = `epochs/7.json`",
      "const id = /^restores\\/(.+)\\.done\\.json$/.exec(key)?.[1]",
      "if (key.startsWith(storeLayout.packs)) return",
      "const key = 'repository.json'",
    ]) {
      expect(handmadeKeys(line), line).to.have.length(1);
    }
  });
});
