/**
 * One shard out of a collection snapshot (v1.16.3): a tar with a folder for each shard, in which every segment is a tar of
 * its own and the write-ahead log is whole. Brought into the layout of a shard's archive, which a shard upload takes; it
 * replays the log then, and with it the deletes that segments under optimization do not know yet.
 */
import { DrError } from "../../errors.ts";
import { readSparseTar, type TarEntry } from "./sparse-tar.ts";

const segmentTar = /^segments\/([^/]+)\.tar$/;
const inSegmentTar = /^snapshot\/(files\/.+)$/;
/** Files that every segment has, whatever its vectors are; the archive has no list of its files. */
const ofEverySegment = ["segment.json", "version.info"];

/** Reads the source to its very end, so that what checks it as a whole is done. */
export async function* shardInSnapshot(source: AsyncIterable<Uint8Array>, shard: number): AsyncGenerator<TarEntry> {
  const iterator = source[Symbol.asyncIterator]();
  const folder = `${shard}/`;
  const segments = new Set<string>();
  const came = new Set<string>();
  for await (const entry of readSparseTar({ [Symbol.asyncIterator]: () => iterator })) {
    if (!entry.path.startsWith(folder)) continue;
    const path = entry.path.slice(folder.length);
    const segment = segmentTar.exec(path)?.[1];
    if (segment === undefined) {
      yield { ...entry, path };
      continue;
    }
    segments.add(segment);
    for await (const file of readSparseTar(archiveIn(entry))) {
      if (file.type === "directory") continue;
      const name = inSegmentTar.exec(file.path)?.[1];
      if (name === undefined) throw unknownLayout(`${path} holds ${file.path}`);
      came.add(`segments/${segment}/${name}`);
      yield { ...file, path: `segments/${segment}/${name}` };
    }
  }
  while (!(await iterator.next()).done);
  if (segments.size === 0) throw unknownLayout(`it has no segments of shard ${shard}`);
  for (const segment of segments) {
    const lacking = ofEverySegment.filter((name) => !came.has(`segments/${segment}/files/${name}`));
    if (lacking.length > 0) throw unknownLayout(`segment ${segment} has no ${lacking.join(", ")}`);
  }
}

const zeros = Buffer.alloc(64 * 1024);
const endOfArchive = zeros.subarray(0, 1024);

/** The entry's bytes as an archive. Qdrant leaves out a nested archive's end; its size is that of the entry. */
async function* archiveIn(entry: TarEntry): AsyncGenerator<Uint8Array> {
  let at = 0;
  for await (const { offset, bytes } of entry.content) {
    yield* zerosUpTo(offset - at);
    yield bytes;
    at = offset + bytes.length;
  }
  yield* zerosUpTo(entry.size - at);
  yield endOfArchive;
}

function* zerosUpTo(count: number): Generator<Uint8Array> {
  for (let left = count; left > 0; left -= zeros.length) yield zeros.subarray(0, left);
}

function unknownLayout(what: string): DrError {
  return new DrError("CAPTURE_INCOMPLETE", `the collection snapshot cannot be used: ${what}`, {
    hint: "capture again when no optimization runs; this Qdrant version may write another layout",
  });
}
