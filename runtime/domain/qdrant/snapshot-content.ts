/**
 * What a plain snapshot of a collection holds, as Qdrant makes it or `collection-archive.ts` writes it. A peer of a cluster puts its own
 * shards into it, and says of the others where they are.
 */
import { DrError } from "../../errors.ts";
import { isRecord, parseExactly } from "../exact-json.ts";
import type { ShardKey } from "./shard-key-plan.ts";
import { type OutgoingEntry, readSparseTar, type TarEntry, writeSparseTar } from "./sparse-tar.ts";

/** Settings of a collection are some kilobytes. */
const largestText = 4 * 1024 * 1024;

/** A shard's place in an archive: no entry of it begins before `from`, or at `to` or later. */
export interface ShardInSnapshot {
  readonly id: number;
  readonly from: number;
  readonly to: number;
  /** The peer that made it; undefined where the archive does not say. */
  readonly peer: number | undefined;
  /** Whether that peer held it whole, by its own knowledge. */
  readonly isActive: boolean;
}

export interface SnapshotContent {
  /** Qdrant's `config`. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The same on all peers, and another one for a collection that is made anew under the same name; old versions have none. */
  readonly uuid: string | undefined;
  readonly payloadIndexes: Readonly<Record<string, unknown>>;
  /** Ids of the shards of each shard key. */
  readonly shardKeys: readonly { readonly key: ShardKey; readonly ids: readonly number[] }[];
  readonly shards: readonly ShardInSnapshot[];
}

const settingsFiles: readonly string[] = ["config.json", "payload_index.json", "shard_key_mapping.json"];

const ofShard = /^(\d{1,9})\/(.+)$/;

/** Reads it to its end. Undefined when it holds no settings of a collection. Throws CAPTURE_INCOMPLETE when it is no archive, or was cut off. */
export async function readSnapshotContent(source: AsyncIterable<Uint8Array>): Promise<SnapshotContent | undefined> {
  const texts = new Map<string, unknown>();
  const shards = new Map<number, { from: number; to: number; hasSegments: boolean; state: unknown }>();
  let open: { to: number } | undefined;
  for await (const entry of readSparseTar(source)) {
    if (open !== undefined) open.to = entry.begins;
    open = undefined;
    const [, id, path = ""] = ofShard.exec(entry.path) ?? [];
    if (id === undefined) {
      if (settingsFiles.includes(entry.path)) texts.set(entry.path, await jsonOf(entry));
      continue;
    }
    const shard = shards.get(Number(id)) ?? { from: entry.begins, to: 0, hasSegments: false, state: undefined };
    shards.set(Number(id), shard);
    open = shard;
    shard.to = Number.MAX_SAFE_INTEGER;
    // An empty shard has a segment, too.
    shard.hasSegments ||= path.startsWith("segments/");
    if (path === "replica_state.json") shard.state = await jsonOf(entry);
  }
  const config = texts.get("config.json");
  if (!isRecord(config)) return undefined;
  const { uuid, ...settings } = config;
  const indexes = texts.get("payload_index.json");
  const schema = isRecord(indexes) ? indexes["schema"] : undefined;
  return {
    config: settings,
    uuid: typeof uuid === "string" ? uuid : undefined,
    payloadIndexes: isRecord(schema) ? schema : {},
    shardKeys: shardKeysIn(texts.get("shard_key_mapping.json")),
    shards: [...shards]
      .filter(([, { hasSegments }]) => hasSegments)
      .map(([id, { from, state, to }]) => ({ id, from, to, ...replicaIn(state) }))
      .sort((a, b) => a.id - b.id),
  };
}

/** As an upload of the whole shard takes it. @param source the snapshot from the shard's first entry on. */
export function shardArchiveIn(
  source: AsyncGenerator<Uint8Array>,
  { from, id, to }: Pick<ShardInSnapshot, "from" | "id" | "to">,
): AsyncGenerator<Uint8Array> {
  return writeSparseTar(entriesOfShard(source, id, to - from));
}

async function* entriesOfShard(
  source: AsyncGenerator<Uint8Array>,
  id: number,
  length: number,
): AsyncGenerator<OutgoingEntry> {
  try {
    // The tar's reader ends nothing that it is left in the middle of.
    for await (const { begins, content, path, regions, size, type } of readSparseTar({
      [Symbol.asyncIterator]: () => source,
    })) {
      if (begins >= length) return;
      const [, shard, below] = ofShard.exec(path) ?? [];
      if (Number(shard) !== id || below === undefined) continue;
      yield { path: below, type, size, regions, content: bytesOf(content) };
    }
  } finally {
    await source.return(undefined);
  }
}

async function* bytesOf(content: TarEntry["content"]): AsyncGenerator<Uint8Array> {
  for await (const { bytes } of content) yield bytes;
}

/** Undefined where it is no JSON. */
async function jsonOf({ content, path, size }: TarEntry): Promise<unknown> {
  if (size > largestText) throw new DrError("CAPTURE_INCOMPLETE", `${path} in the archive has ${size} bytes`);
  const parts: Uint8Array[] = [];
  for await (const { bytes } of content) parts.push(bytes);
  try {
    return parseExactly(Buffer.concat(parts).toString("utf8"));
  } catch {
    return undefined;
  }
}

function replicaIn(state: unknown): Pick<ShardInSnapshot, "isActive" | "peer"> {
  const { peers, this_peer_id: peer } = isRecord(state) ? state : {};
  if (typeof peer !== "number") return { peer: undefined, isActive: true };
  return { peer, isActive: isRecord(peers) && peers[String(peer)] === "Active" };
}

/** Before 1.14 it was no list, and numbers among the keys were written as text: what they were is not known. */
function shardKeysIn(mapping: unknown): SnapshotContent["shardKeys"] {
  const entries = Array.isArray(mapping) ? mapping.filter(isRecord) : [];
  return entries.flatMap(({ key, shard_ids: ids }) => {
    if (typeof key !== "string" && typeof key !== "number" && typeof key !== "bigint") return [];
    if (!Array.isArray(ids)) return [];
    return [{ key, ids: ids.filter((id) => typeof id === "number").sort((a, b) => a - b) }];
  });
}
