/** The archives that a captured shard is sent in: whole, or as the difference to another tree of the same shard. */
import { settingsEntries, shardEntries } from "../../domain/qdrant/collection-archive.ts";
import type { SegmentManifest } from "../../domain/qdrant/segment-manifest.ts";
import { type OutgoingEntry, writeSparseTar } from "../../domain/qdrant/sparse-tar.ts";
import { isOfLog } from "../../domain/qdrant/write-ahead-log.ts";
import type {
  CapturedCollection,
  CapturedShard,
  CollectionWithFacts,
} from "../../domain/recovery-points/recovery-point.ts";
import { type ShardTree, shardTreeSchema, type TreeFile } from "../../domain/recovery-points/shard-tree.ts";
import { DrError } from "../../errors.ts";
import { readFiles } from "../../repository/content/file-reader.ts";
import type { OpenRepository } from "../../repository/repository.ts";

/** Throws OBJECT_CORRUPT when it is another shard's, or cannot be restored. */
export async function readShardTree(
  repository: OpenRepository,
  collection: Pick<CapturedCollection, "name">,
  shard: { readonly id: number; readonly tree: Pick<CapturedShard["tree"], "id"> },
): Promise<ShardTree> {
  const tree = await repository.readTree(shard.tree.id, shardTreeSchema);
  if (tree.collection !== collection.name || tree.shard !== shard.id) {
    throw new DrError("OBJECT_CORRUPT", `${shard.tree.id} is of ${tree.collection} shard ${tree.shard}`);
  }
  if (!tree.files.some(({ path }) => isOfLog(path))) {
    throw new DrError("OBJECT_CORRUPT", `${shard.tree.id} has no write-ahead log`, {
      hint: "use another recovery point: on this one Qdrant would ignore later writes",
    });
  }
  return tree;
}

/**
 * Which writes a replica saw last, as of its last flush: two captures between which nothing was flushed tell the same. A replica that
 * stands there and saw those would be taken for equal to the shard that is sent, and keep what it has: Qdrant copies nothing to it, and
 * calls it Active (`resolve_wal_delta`, lib/collection/src/wal_delta.rs). Without the file it copies everything.
 */
const lastSeenWrites = "newest_clocks.json";

/** What an upload of a whole shard takes. */
export function wholeArchive(repository: OpenRepository, tree: ShardTree): AsyncGenerator<Uint8Array> {
  return writeSparseTar(wholeShard(repository, tree));
}

function wholeShard(repository: OpenRepository, { files }: ShardTree): AsyncGenerator<OutgoingEntry> {
  return entriesOf(
    repository,
    files.filter(({ path }) => path !== lastSeenWrites),
  );
}

/** A snapshot of a whole collection, which a Qdrant restores by itself. */
export function collectionArchive(
  repository: OpenRepository,
  collection: CollectionWithFacts,
): AsyncGenerator<Uint8Array> {
  return writeSparseTar(entriesOfCollection(repository, collection));
}

async function* entriesOfCollection(
  repository: OpenRepository,
  collection: CollectionWithFacts,
): AsyncGenerator<OutgoingEntry> {
  for (const shard of collection.shards) {
    const tree = await readShardTree(repository, collection, shard);
    yield* shardEntries(shard.id, wholeShard(repository, tree));
  }
  yield* settingsEntries(collection);
}

/** The archive for a shard that lacks only `files` of the tree. */
export function differenceArchive(
  repository: OpenRepository,
  tree: ShardTree,
  files: readonly TreeFile[],
): AsyncGenerator<Uint8Array> {
  return writeSparseTar(withManifests(tree.segments, entriesOf(repository, files)));
}

async function* withManifests(
  segments: SegmentManifest,
  entries: AsyncIterable<OutgoingEntry>,
): AsyncGenerator<OutgoingEntry> {
  for (const segment of Object.values(segments)) {
    const bytes = Buffer.from(JSON.stringify(segment));
    yield {
      path: `segments/${segment.segment_id}/files/segment_manifest.json`,
      type: "file",
      size: bytes.length,
      regions: [{ offset: 0, length: bytes.length }],
      content: only(bytes),
    };
  }
  yield* entries;
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function* entriesOf(repository: OpenRepository, files: readonly TreeFile[]): AsyncGenerator<OutgoingEntry> {
  for await (const { content, file, regions } of readFiles(repository, files)) {
    yield { path: file.path, type: "file", size: file.size, regions, content };
  }
}
