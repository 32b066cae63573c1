/**
 * A collection as a snapshot that Qdrant restores by itself: a tar with a folder for each shard, its settings, its payload indexes
 * and its shard keys (as 1.16.3 writes it; a segment may be a folder in the place of a tar of its own).
 */
import { createHash } from "node:crypto";
import { exactText, isRecord } from "../exact-json.ts";
import type { ShardKey } from "./shard-key-plan.ts";
import type { OutgoingEntry } from "./sparse-tar.ts";

/** Of Qdrant's crate `collection`, the same since 0.4; it says how a collection's files are laid out. */
const layoutVersion = "0.4.2";
/** In every snapshot of a shard; recovery points of before may lack it. */
const shardConfig = { path: "shard_config.json", text: '{"type":"ReplicaSet"}' };

export interface ArchivedCollection {
  /** Qdrant's `config`, whole. */
  readonly config: unknown;
  readonly payloadIndexes: Readonly<Record<string, unknown>>;
  readonly shards: readonly { readonly id: number; readonly key?: ShardKey | undefined }[];
}

/** The entries beside the shards. */
export function* settingsEntries({ config, payloadIndexes, shards }: ArchivedCollection): Generator<OutgoingEntry> {
  yield textEntry("version.info", layoutVersion);
  yield textEntry("config.json", exactText(isRecord(config) ? config : {}));
  yield textEntry("shard_key_mapping.json", exactText(shardKeysOf(shards)));
  yield textEntry("payload_index.json", exactText({ schema: payloadIndexes }));
}

function shardKeysOf(shards: ArchivedCollection["shards"]): { key: ShardKey; shard_ids: number[] }[] {
  const idsOf = new Map<ShardKey, number[]>();
  for (const { id, key } of shards) if (key !== undefined) idsOf.set(key, [...(idsOf.get(key) ?? []), id]);
  return [...idsOf].map(([key, shard_ids]) => ({ key, shard_ids }));
}

/** The entries of a shard, in its folder. */
export async function* shardEntries(
  shard: number,
  entries: AsyncIterable<OutgoingEntry>,
): AsyncGenerator<OutgoingEntry> {
  let hasConfig = false;
  for await (const entry of entries) {
    hasConfig ||= entry.path === shardConfig.path;
    yield { ...entry, path: `${shard}/${entry.path}` };
  }
  if (!hasConfig) yield textEntry(`${shard}/${shardConfig.path}`, shardConfig.text);
}

function textEntry(path: string, text: string): OutgoingEntry {
  const bytes = Buffer.from(text);
  return {
    path,
    type: "file",
    size: bytes.length,
    regions: [{ offset: 0, length: bytes.length }],
    content: only(bytes),
  };
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const longestFileName = 150;

/** A name that every file system takes, and that is another one for each collection. */
export function snapshotFileName(collection: string): string {
  const safe = collection
    .replaceAll(/[^A-Za-z0-9_-]/g, (character) => (character === "." ? "." : "_"))
    .replace(/^\./, "_");
  if (safe === collection && safe.length <= longestFileName) return `${safe}.snapshot`;
  const digest = createHash("sha256").update(collection).digest("hex").slice(0, 8);
  return `${safe.slice(0, longestFileName)}-${digest}.snapshot`;
}
