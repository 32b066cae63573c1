/**
 * Every parser of bytes that come from a store, an archive or a file, given others than those that were written: each answers a value or a
 * DrError, soon and in bounded memory. QDRANT_DR_FUZZ says how many tries each gets, QDRANT_DR_SEED which.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { expect } from "chai";
import fc from "fast-check";
import type { z } from "zod";
import { AgeKeyWrap } from "../../runtime/adapters/age-key-wrap.ts";
import { readDatabaseHeader } from "../../runtime/adapters/folders/sqlite-copy.ts";
import { FileSpool } from "../../runtime/adapters/gate/file-spool.ts";
import { parseSettings } from "../../runtime/adapters/settings-file.ts";
import { exactText } from "../../runtime/domain/exact-json.ts";
import { prunePlanSchema } from "../../runtime/domain/history/prune-records.ts";
import type { JournalEntry } from "../../runtime/domain/journal/entry.ts";
import { encodeEntries } from "../../runtime/domain/journal/entry-text.ts";
import { shardInSnapshot } from "../../runtime/domain/qdrant/collection-snapshot.ts";
import { parseSegment } from "../../runtime/domain/qdrant/segment-manifest.ts";
import { readSnapshotContent } from "../../runtime/domain/qdrant/snapshot-content.ts";
import { readSparseTar, writeSparseTar } from "../../runtime/domain/qdrant/sparse-tar.ts";
import { capturePartSchema, capturePlanSchema } from "../../runtime/domain/recovery-points/capture-plan.ts";
import {
  largestChunkList,
  parseChunkList,
  serialiseChunkList,
} from "../../runtime/domain/recovery-points/chunk-list-bytes.ts";
import { collectionFactsSchema } from "../../runtime/domain/recovery-points/collection-facts.ts";
import { folderTreeSchema } from "../../runtime/domain/recovery-points/folder-tree.ts";
import { newKey, serialiseKey } from "../../runtime/domain/recovery-points/key.ts";
import { keyGenerationSchema } from "../../runtime/domain/recovery-points/key-generation.ts";
import { attestationSchema, recoveryPointSchema } from "../../runtime/domain/recovery-points/recovery-point.ts";
import { newRotation, rotationSchema } from "../../runtime/domain/recovery-points/rotation.ts";
import { seal, unseal } from "../../runtime/domain/recovery-points/sealing.ts";
import { shardTreeSchema } from "../../runtime/domain/recovery-points/shard-tree.ts";
import {
  controlLayout,
  parseControlKey,
  parseStoreKey,
  storeLayout,
} from "../../runtime/domain/recovery-points/store-layout.ts";
import { epochRecordSchema } from "../../runtime/domain/roles/epoch.ts";
import { openObject, signObject } from "../../runtime/domain/trust/envelope.ts";
import { keyBefore, nameBehind } from "../../runtime/domain/trust/names-behind.ts";
import { DrError } from "../../runtime/errors.ts";
import { KeyRing } from "../../runtime/repository/content/key-ring.ts";
import { readDirectory } from "../../runtime/repository/content/pack-directory.ts";
import { readEnd } from "../../runtime/repository/content/pack-end.ts";
import { PackWriter } from "../../runtime/repository/content/pack-writer.ts";
import { decodeObject, encodeObject, openEntries } from "../../runtime/repository/journal/journal-object.ts";
import { parseRecord } from "../../runtime/repository/record.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { allOf } from "../support/all-of.ts";
import { firstEpoch, storesWithEpoch } from "../support/estates/recovery-estate.ts";
import { signing, trust } from "../support/estates/test-trust.ts";

const numRuns = Number(process.env["QDRANT_DR_FUZZ"] ?? 150);
const seed = Number(process.env["QDRANT_DR_SEED"] ?? 20_261_130);
/** A hang lasts longer; a busy machine does not. */
const slowestMs = 10_000;
const mostGrowth = 256 * 1024 * 1024;

const id64 = "ab".repeat(32);
const keyId = "cd".repeat(16);
const at = "2026-03-01T00:00:00.000Z";
const piece = { name: id64, pack: id64, offset: 0, length: 100, key: keyId };
const content = { size: 70_000, lists: [piece], packs: [0] };
const packs = [{ id: id64, size: 1_000 }];
const tree = { id: id64, size: 10 };
const times = { startedAt: at, finishedAt: at };

/** A record of each kind that is read from a store. */
const records: Readonly<Record<string, readonly [schema: z.ZodType, example: unknown]>> = {
  "a recovery point": [
    recoveryPointSchema,
    {
      ...{ format: 1, id: "a", type: "full", kinds: ["qdrant"], region: "east", epoch: 1, time: at, ...times },
      ...{
        toolVersion: "0",
        aliases: [],
        collections: [],
        folders: [{ kind: "config", name: "etc", key: keyId, tree, isExact: true, ...times }],
      },
    },
  ],
  "a shard's tree": [
    shardTreeSchema,
    { format: 1, collection: "c", shard: 0, lineage: "l", segments: {}, files: [{ ...content, path: "a" }], packs },
  ],
  "a folder's tree": [
    folderTreeSchema,
    {
      format: 1,
      kind: "config",
      name: "etc",
      packs,
      entries: [{ ...content, path: "a", type: "file", mode: 420, uid: 0, gid: 0, modifiedAt: at }],
    },
  ],
  "facts of a collection": [
    collectionFactsSchema,
    { format: 1, config: {}, payloadIndexes: {}, samples: [], canaries: [] },
  ],
  "an attestation": [attestationSchema, { recoveryPoint: "a", kind: "verified", at, region: "east", detail: "" }],
  "an epoch": [epochRecordSchema, firstEpoch],
  "a rotation": [rotationSchema, newRotation("r", new Date(at))],
  "a key generation": [keyGenerationSchema, { at, key: keyId, retired: [keyId] }],
  "a capture's plan": [
    capturePlanSchema,
    {
      ...{ format: 1, recoveryPoint: "a", type: "full", kinds: ["qdrant"], workers: 1, at, region: "east", epoch: 1 },
      collections: [{ name: "c", key: keyId, facts: id64, pointsBefore: 1, shards: [{ id: 0, key: 2n ** 60n }] }],
      folders: [{ kind: "config", name: "etc" }],
    },
  ],
  "a part of a capture": [
    capturePartSchema,
    {
      ...{ format: 1, worker: 0, folders: [], readBytes: 1, storedBytes: 1 },
      shards: [
        {
          ...{ collection: "c", segments: "d", isUnchanged: false, contradictions: [] },
          shard: { id: 0, peer: 1, tree, method: "partial-snapshot", isExact: true, ...times },
        },
      ],
    },
  ],
  "a plan of a prune": [
    prunePlanSchema,
    {
      ...{ format: 1, run: "r", at, repository: "a", kept: ["b"], references: { trees: 1, objects: 2 } },
      counted: { recoveryPoints: 1, trees: 1, packs: 1, facts: 1 },
      dropped: { recoveryPoints: 1, trees: 1, packs: 1, facts: 1, records: 1, bytes: 1 },
      parts: { recoveryPoints: 1, objects: 1 },
    },
  ],
};

/** Bytes like those of an example: some changed, cut out, put in or said twice; or any at all. */
function mutated(examples: readonly Uint8Array[]): fc.Arbitrary<Buffer> {
  const edit = fc.record({
    kind: fc.constantFrom("flip", "cut", "insert", "repeat", "set"),
    where: fc.double({ min: 0, max: 1, noNaN: true }),
    length: fc.integer({ min: 1, max: 64 }),
    bytes: fc.uint8Array({ maxLength: 16 }),
    byte: fc.constantFrom(0, 1, 0x20, 0x30, 0x5b, 0x7b, 0x22, 0x7f, 0x80, 0xff),
  });
  const near = fc
    .tuple(fc.constantFrom(...examples), fc.array(edit, { minLength: 1, maxLength: 6 }))
    .map(([example, edits]) => {
      let bytes = Buffer.from(example);
      for (const { byte, bytes: more, kind, length, where } of edits) {
        const place = Math.floor(where * bytes.length);
        const [before, after] = [bytes.subarray(0, place), bytes.subarray(place)];
        if (kind === "cut") bytes = Buffer.concat([before, after.subarray(length)]);
        else if (kind === "insert") bytes = Buffer.concat([before, more, after]);
        else if (kind === "repeat") bytes = Buffer.concat([before, after.subarray(0, length), after]);
        else if (after.length > 0)
          bytes = Buffer.concat(
            [before, [kind === "set" ? byte : (after[0] ?? 0) ^ (1 << (length % 8))], after.subarray(1)].map((part) =>
              Buffer.from(part),
            ),
          );
      }
      return bytes;
    });
  return fc.oneof(
    { arbitrary: near, weight: 8 },
    { arbitrary: fc.uint8Array({ maxLength: 600 }).map((any) => Buffer.from(any)), weight: 2 },
  );
}

/** Throws unless it answers, or refuses with a DrError, soon. */
async function survives(parse: (bytes: Buffer) => unknown, bytes: Buffer): Promise<void> {
  const begun = performance.now();
  try {
    await parse(bytes);
  } catch (error) {
    if (!(error instanceof DrError)) throw error;
    expect(error.code, error.message).to.not.equal("INTERNAL");
  }
  expect(performance.now() - begun, "it takes too long").to.be.below(slowestMs);
}

describe("bytes that nobody wrote", function () {
  this.timeout(120_000);

  async function fuzz(examples: readonly Uint8Array[], parse: (bytes: Buffer) => unknown): Promise<void> {
    const before = process.memoryUsage().rss;
    await fc.assert(
      fc.asyncProperty(mutated(examples), (bytes) => survives(parse, bytes)),
      { numRuns, seed },
    );
    expect(process.memoryUsage().rss - before, "memory").to.be.below(mostGrowth);
  }

  for (const [name, [schema, example]] of Object.entries(records)) {
    it(`as ${name}`, async () => {
      const bytes = Buffer.from(exactText(example));
      parseRecord(schema, "its example", bytes);
      await fuzz([bytes], (other) => parseRecord(schema, "k", other));
    });
  }

  it("as a record that is nested without end, or has numbers without end", async () => {
    for (const text of [
      "[".repeat(2_000_000),
      '{"a":'.repeat(300_000),
      "9".repeat(2_000_000),
      `{"format":${"1".repeat(1_000_000)}}`,
    ]) {
      await survives((bytes) => parseRecord(recoveryPointSchema, "k", bytes), Buffer.from(text));
    }
  });

  it("as a chunk list", async () => {
    const frame = { pack: id64, offset: 0, length: 5_000, key: keyId, size: 200_000 };
    const lists = [[], [3], [2, { name: id64, frame, start: 0 }, { name: id64, frame, start: 65_536 }, 7]];
    await fuzz(lists.map(serialiseChunkList), parseChunkList);
    await survives(parseChunkList, Buffer.alloc(largestChunkList, 0xff));
  });

  it("as sealed bytes, also of content that opens to far more", async () => {
    const key = newKey({ collection: "notes" });
    const small = seal(key, "n", Buffer.from("content"));
    await fuzz([small], (bytes) => unseal(key, "n", bytes, 1_000));
    const bomb = seal(key, "n", Buffer.alloc(64 * 1024 * 1024));
    expect(bomb.length).to.be.below(100_000);
    await survives((bytes) => unseal(key, "n", bytes, 1_000), bomb);
    expect(() => unseal(key, "n", bomb, 1_000)).to.throw(DrError);
  });

  it("as a pack's directory", async () => {
    const { wrap } = await keys();
    const stores = storesWithEpoch();
    const repository = await OpenRepository.openOrCreate(stores, wrap);
    const key = await repository.keys.make({ collection: "notes" });
    const names = [
      { name: id64, start: 0 },
      { name: id64, start: "list" as const },
    ];
    const writer = new PackWriter(repository, key, 10_000);
    await writer.add({ size: 65_536, names }, Buffer.alloc(300, 7), () => undefined);
    const [written] = await writer.finish();
    const pack = await stores.repository.get(storeLayout.pack(written?.id ?? ""));
    expect((await readDirectory(repository, { id: written?.id ?? "" })).chunks).to.have.length(1);
    await fuzz([pack], async (bytes) => {
      // Under the name that its end gives it: all that is left is to be read.
      const end = readEnd(bytes);
      if (end === undefined) return;
      stores.repository.objects.set(storeLayout.pack(end.id), bytes);
      await readDirectory(repository, { id: end.id });
    });
  });

  it("as a manifest, a tree and facts in their places", async () => {
    const { wrap } = await keys();
    const stores = storesWithEpoch();
    const repository = await OpenRepository.openOrCreate(stores, wrap);
    const [, example] = records["a recovery point"] ?? [];
    await repository.createRecord(storeLayout.manifest("a"), recoveryPointSchema, recoveryPointSchema.parse(example));
    const place = storeLayout.manifest("a");
    const manifest = await stores.repository.get(place);
    await fuzz([manifest], async (bytes) => {
      stores.repository.objects.set(place, bytes);
      await repository.readRecoveryPoint("a");
    });
    await fuzz([manifest], async (bytes) => {
      stores.repository.objects.set(storeLayout.tree(id64), bytes);
      await repository.readTree(id64, shardTreeSchema);
    });
  });

  it("as the description of a repository, and as a wrapped key", async () => {
    const { wrap } = await keys();
    const stores = storesWithEpoch();
    await OpenRepository.openOrCreate(stores, wrap);
    const description = await stores.repository.get(storeLayout.repository);
    await fuzz([description], async (bytes) => {
      stores.repository.objects.set(storeLayout.repository, bytes);
      await OpenRepository.open(stores, wrap);
    });
    await fuzz([Buffer.from(await wrap.wrap("a text"))], (bytes) => wrap.unwrap(bytes));
  });

  it("as an archive of a shard, and as a collection's snapshot", async () => {
    const pieces = await allOf(
      writeSparseTar(
        each([
          { path: "segments/", type: "directory", size: 0, regions: [], content: each([]) },
          {
            path: "segments/a",
            type: "file",
            size: 70_000,
            regions: [
              { offset: 0, length: 9 },
              { offset: 65_536, length: 4 },
            ],
            content: each([Buffer.from("123456789"), Buffer.from("1234")]),
          },
        ]),
      ),
    );
    const archive = Buffer.concat(pieces);
    const readAll = async (entries: AsyncIterable<{ readonly content: AsyncIterable<unknown> }>) => {
      for await (const entry of entries) for await (const _bytes of entry.content);
    };
    await fuzz([archive], (bytes) => readAll(readSparseTar(each([bytes]))));
    await fuzz([archive], (bytes) => readAll(shardInSnapshot(each([bytes]), 0)));
    await fuzz([archive], (bytes) => readSnapshotContent(each([bytes])));
  });

  it("as a settings file", async () => {
    const text = 'region: east\nqdrant: { url: "http://127.0.0.1:6333" }\nstore: { kind: file, folder: /tmp/x }\n';
    const bombs = [
      "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
      "[".repeat(5_000),
      "- ".repeat(5_000),
    ];
    await fuzz(
      [text, ...bombs].map((each) => Buffer.from(each)),
      (bytes) => parseSettings("qdrant-dr.yaml", bytes.toString("utf8")),
    );
  });

  it("as keys of objects", async () => {
    const examples = [
      storeLayout.pack(id64),
      storeLayout.manifest("a"),
      storeLayout.healedObject(storeLayout.tree(id64), 1),
    ];
    await fuzz(
      examples.map((each) => Buffer.from(each)),
      (bytes) => [parseStoreKey(bytes.toString()), parseControlKey(bytes.toString())],
    );
    await survives(
      (bytes) => [parseStoreKey(bytes.toString()), parseControlKey(bytes.toString())],
      Buffer.from(`healed/${"a/".repeat(400)}`),
    );
    const place = { trustId: trust.id, region: "east", store: "control" } as const;
    const behind = nameBehind(place, controlLayout.epoch(2), 1);
    await fuzz(
      [behind, `${behind}${behind}`, "~1~".repeat(2_000)].map((each) => Buffer.from(each)),
      (bytes) => keyBefore(bytes.toString()),
    );
  });

  it("as an object of a journal, and as what is sealed in it", async () => {
    const key = newKey({ journal: "east" });
    const entries: JournalEntry[] = [
      {
        kind: "points",
        at,
        collection: "c",
        isComplete: true,
        ids: ["7", '"c0ffee00-0000-4000-8000-000000000001"'],
        points: ['{"id":7}', '{"id":8}'],
      },
      { kind: "aliases", at, aliases: [{ alias: "a", collection: "c" }] },
      { kind: "collection", at, collection: "c", config: {}, indexes: {} },
    ];
    const common = { format: 1, number: 2, previous: id64, term: 1, at } as const;
    const header = { ...common, kind: "entries", entries: 3 } as const;
    const text = encodeEntries(entries);
    const object = encodeObject("east", header, { key, text });
    const takeover = encodeObject("east", { ...common, kind: "takeover", writer: "w", key: "YQ==" });
    const { sealed } = decodeObject("east", 2, object);
    expect(openEntries("east", header, key, sealed)).to.have.length(3);
    await fuzz([object, takeover], (bytes) => {
      const read = decodeObject("east", 2, bytes);
      return openEntries("east", read.header, key, read.sealed);
    });
    await fuzz([Buffer.from(text)], (bytes) => {
      const changed = decodeObject("east", 2, encodeObject("east", header, { key, text: bytes.toString("utf8") }));
      return openEntries("east", header, key, changed.sealed);
    });
  });

  it("as a gate's spool", async () => {
    const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-fuzz-"));
    try {
      const lines = [{ term: 1 }, { number: 1, changes: "points", collection: "c", ids: ["7"] }, { done: [1] }];
      const spool = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
      await fuzz([Buffer.from(spool)], (bytes) => {
        rmSync(folder, { recursive: true });
        mkdirSync(folder);
        writeFileSync(join(folder, "0000000001.log"), bytes);
        new FileSpool(folder).close();
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("as a segment's manifest, and as the head of a SQLite database", async () => {
    const segment = { segment_id: "a", segment_version: 3, file_versions: { "payload.dat": 3, "::ROCKS_DB": null } };
    await fuzz([Buffer.from(JSON.stringify(segment))], (bytes) => parseSegment(bytes.toString("utf8")));
    const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-fuzz-"));
    const path = join(folder, "database");
    try {
      await fuzz([Buffer.concat([Buffer.from("SQLite format 3\0"), Buffer.alloc(84, 2)])], (bytes) => {
        writeFileSync(path, bytes);
        return readDatabaseHeader(path);
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("as a data key in its age file", async () => {
    const { wrap } = await keys();
    const stores = storesWithEpoch();
    const key = newKey({ collection: "notes" });
    const text = serialiseKey(key);
    const ringOf = async (said: string) => {
      stores.control.objects.set(controlLayout.key(key.id), Buffer.from(await wrap.wrap(said)));
      return new KeyRing(stores.control, wrap).key(key.id);
    };
    expect((await ringOf(text)).id).to.equal(key.id);
    await fuzz([Buffer.from(text)], (bytes) => ringOf(bytes.toString("utf8")));
    const short = JSON.stringify({ ...JSON.parse(text), data: "YQ==" });
    await survives((bytes) => ringOf(bytes.toString("utf8")), Buffer.from(short));
  });

  it("as signed objects", async () => {
    const place = { trustId: trust.id, region: "east", store: "control" } as const;
    const key = controlLayout.epoch(2);
    await fuzz([signObject(signing, place, key, Buffer.from("{}"))], (bytes) => openObject(trust, place, key, bytes));
  });
});

async function keys(): Promise<{ readonly wrap: AgeKeyWrap }> {
  const identity = await generateIdentity();
  return { wrap: new AgeKeyWrap({ recipients: [await identityToRecipient(identity)], identity }) };
}

async function* each<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}
