/**
 * Captures one shard into the repository: reads what changed since its last capture, stores what is not stored yet, and
 * names a tree from which the whole shard can be put together without Qdrant's help.
 */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { DataKey } from "../domain/key.ts";
import { nameOf, seal } from "../domain/sealing.ts";
import {
  filesOfSegment,
  parseSegment,
  type SegmentManifest,
  segmentsThatWentBack,
} from "../domain/segment-manifest.ts";
import {
  type ChunkList,
  chunkSize,
  type Piece,
  type ShardTree,
  serialiseChunkList,
  type TreeFile,
} from "../domain/shard-tree.ts";
import { readSparseTar, type TarEntry } from "../domain/sparse-tar.ts";
import { DrError } from "../errors.ts";
import type { Clock, Optimizations, ShardPlacement, VectorDatabase } from "../ports.ts";
import { readChunkLists } from "../repository/file-reader.ts";
import { PackWriter } from "../repository/pack-writer.ts";
import type { OpenRepository } from "../repository/repository.ts";

const segmentManifestFile = /^segments\/[^/]+\/files\/segment_manifest\.json$/;
const isOfSegment = (path: string) => path.startsWith("segments/");
/** Small files beside the segments that a restore needs; the write-ahead log is left out: an empty one restores exactly. */
const shardFiles = new Set(["replica_state.json", "shard_config.json", "newest_clocks.json"]);

export interface ShardCapture {
  readonly tree: { readonly id: string; readonly size: number };
  readonly startedAt: Date;
  readonly finishedAt: Date;
  readonly isExact: boolean;
  /** Bytes of expanded files that Qdrant sent, and bytes that were stored for them. */
  readonly readBytes: number;
  readonly storedBytes: number;
}

export interface ShardCaptureRequest {
  readonly database: VectorDatabase;
  readonly repository: OpenRepository;
  readonly key: DataKey;
  readonly collection: string;
  readonly shard: ShardPlacement;
  readonly lineage: string;
  /** Tree of the last capture of this shard, if there is one. */
  readonly base?: { readonly id: string; readonly size: number; readonly tree: ShardTree };
  /** Read everything, whatever the base says. */
  readonly isFull: boolean;
  readonly clock: Clock;
  /** How long to wait for an optimization to end, in milliseconds, and how often to try for an exact capture. */
  readonly patience: { readonly quietMs: number; readonly attempts: number };
}

/** Captures until it is known to be exact, or patience ends; the last capture then says that it is not. */
export async function captureShard(request: ShardCaptureRequest): Promise<ShardCapture> {
  for (let attempt = 1; ; attempt += 1) {
    const capture = await captureOnce(request, await waitForQuiet(request));
    if (capture.isExact || attempt >= request.patience.attempts) return capture;
  }
}

/**
 * Whether no optimization ran at the moment the capture froze the shard's segments: none ran before the request, and
 * until its first byte, which is sent after the freeze, none began. What begins later works on other copies.
 */
function wasQuiet(before: Optimizations | undefined, atFirstByte: Optimizations | undefined): boolean {
  if (before === undefined || atFirstByte === undefined || before.running > 0) return false;
  const begun = new Set(before.begun);
  return atFirstByte.begun.every((mark) => begun.has(mark));
}

async function waitForQuiet(request: ShardCaptureRequest): Promise<Optimizations | undefined> {
  const deadline = request.clock.now().getTime() + request.patience.quietMs;
  for (;;) {
    const optimizations = await request.database.optimizations(request.collection, request.shard);
    if (optimizations === undefined || optimizations.running === 0) return optimizations;
    if (request.clock.now().getTime() >= deadline) return optimizations;
    await sleep(100);
  }
}

async function captureOnce(request: ShardCaptureRequest, before: Optimizations | undefined): Promise<ShardCapture> {
  const { base, clock, collection, database, lineage, shard } = request;
  const comparable = base !== undefined && base.tree.lineage === lineage ? base : undefined;
  const startedAt = clock.now();
  const manifest = request.isFull || comparable === undefined ? {} : whatQdrantTakes(comparable.tree.segments);
  const stream = await database.captureShard(collection, shard, manifest);
  if (stream === undefined) {
    if (comparable === undefined) {
      throw new DrError(
        "CAPTURE_INCOMPLETE",
        `${collection} shard ${shard.id}: Qdrant sent nothing for a first capture`,
      );
    }
    const tree = { id: comparable.id, size: comparable.size };
    const isExact = wasQuiet(before, await database.optimizations(collection, shard));
    return { tree, startedAt, finishedAt: clock.now(), isExact, readBytes: 0, storedBytes: 0 };
  }
  const recording = new Recording(request, base?.tree);
  let isExact = false;
  try {
    await once(stream, "readable");
    isExact = wasQuiet(before, await database.optimizations(collection, shard));
    for await (const entry of readSparseTar(stream)) await recording.take(entry);
  } finally {
    stream.destroy();
  }
  const wentBack = segmentsThatWentBack(comparable?.tree.segments ?? {}, recording.segments);
  if (wentBack.length > 0 && !request.isFull) {
    // The server's history is another one: what it left out would be taken from a past that is not its own.
    return captureOnce({ ...request, isFull: true }, await waitForQuiet(request));
  }
  const stored = await recording.finish(request.isFull ? undefined : comparable?.tree);
  return { ...stored, startedAt, finishedAt: clock.now(), isExact };
}

/** Qdrant refuses a manifest of 2 MiB (fixed, 1.16.3); without one it sends everything, which is right as well. */
function whatQdrantTakes(segments: SegmentManifest): SegmentManifest {
  return Buffer.byteLength(JSON.stringify(segments)) < 2_000_000 ? segments : {};
}

/** One pass over an archive: chunks become pieces, and pieces become a tree. */
class Recording {
  readonly segments: SegmentManifest = {};
  readonly #request: ShardCaptureRequest;
  readonly #known: ShardTree | undefined;
  readonly #packs: PackWriter;
  readonly #pieces = new Map<string, Piece>();
  readonly #files = new Map<string, { size: number; list: ChunkList }>();
  #readBytes = 0;

  constructor(request: ShardCaptureRequest, known: ShardTree | undefined) {
    this.#request = request;
    this.#known = known;
    this.#packs = new PackWriter(request.repository.stores.repository);
  }

  async take(entry: TarEntry): Promise<void> {
    if (entry.type === "directory") return;
    if (segmentManifestFile.test(entry.path)) {
      const parts: Uint8Array[] = [];
      for await (const { bytes } of entry.content) parts.push(bytes);
      const segment = parseSegment(Buffer.concat(parts).toString("utf8"));
      this.segments[segment.segment_id] = segment;
    } else if (isOfSegment(entry.path) || shardFiles.has(entry.path)) {
      await this.#takeFile(entry);
    }
  }

  async #takeFile(entry: TarEntry): Promise<void> {
    await this.#learnPieces(entry.path);
    const list: ChunkList = [];
    this.#files.set(entry.path, { size: entry.size, list });
    let next = 0;
    for await (const { index, chunk } of chunksOf(entry)) {
      pushZeros(list, index - next);
      if (isZero(chunk)) {
        pushZeros(list, 1);
      } else {
        this.#readBytes += chunk.length;
        list.push(await this.#store(chunk));
      }
      next = index + 1;
    }
    pushZeros(list, Math.ceil(entry.size / chunkSize) - next);
  }

  /** What the last capture stored of this file needs not be stored again. */
  async #learnPieces(path: string): Promise<void> {
    const file = this.#known?.files.find((candidate) => candidate.path === path);
    if (file === undefined) return;
    const [list = []] = await readChunkLists(this.#request.repository, [file]);
    for (const entry of list) {
      if (typeof entry !== "number" && entry.key === this.#request.key.id) this.#pieces.set(entry.name, entry);
    }
  }

  async #store(bytes: Uint8Array): Promise<Piece> {
    const { key } = this.#request;
    const name = nameOf(key, bytes);
    const known = this.#pieces.get(name);
    if (known !== undefined) return known;
    const piece = { name, key: key.id, pack: "", offset: 0, length: 0 };
    this.#pieces.set(name, piece);
    await this.#packs.add(seal(key, name, bytes), (place) => Object.assign(piece, place));
    return piece;
  }

  /** Writes chunk lists and tree; what the archive left out is taken from `carried`, and must be there. */
  async finish(carried: ShardTree | undefined): Promise<Pick<ShardCapture, "tree" | "readBytes" | "storedBytes">> {
    const { collection, key, lineage, repository, shard } = this.#request;
    await this.#packs.finish();
    const files: TreeFile[] = [];
    const uses = new Map<string, ChunkList>();
    for (const [path, { size, list }] of this.#files) {
      const hasData = list.some((entry) => typeof entry !== "number");
      const chunks = hasData ? await this.#store(Buffer.from(serialiseChunkList(list))) : undefined;
      files.push(chunks === undefined ? { path, size } : { path, size, chunks });
      uses.set(path, list);
    }
    const carriedFiles = this.#carriedFiles(carried);
    for (const [position, list] of (await readChunkLists(repository, carriedFiles)).entries()) {
      const file = carriedFiles[position];
      if (file === undefined) continue;
      files.push(file);
      uses.set(file.path, list);
    }
    const stored = await this.#packs.finish();
    const sizes = new Map([...(this.#known?.packs ?? []), ...stored].map(({ id, size }) => [id, size]));
    const used = new Set<string>();
    for (const file of files) {
      for (const entry of [file.chunks ?? 0, ...(uses.get(file.path) ?? [])])
        if (typeof entry !== "number") used.add(entry.pack);
    }
    const packs = [...used].sort().map((id) => ({ id, size: sizes.get(id) ?? 0 }));
    const tree = await repository.createTree(key, {
      format: 1,
      collection,
      shard: shard.id,
      lineage,
      segments: this.segments,
      files,
      packs,
    });
    const storedBytes = stored.reduce((sum, { size }) => sum + size, tree.size);
    return { tree, readBytes: this.#readBytes, storedBytes };
  }

  #carriedFiles(carried: ShardTree | undefined): TreeFile[] {
    if (!this.#files.has("replica_state.json")) throw this.#incomplete("replica_state.json");
    const before = new Map(carried?.files.map((file) => [file.path, file]));
    return Object.values(this.segments)
      .flatMap(filesOfSegment)
      .filter((path) => !this.#files.has(path))
      .map((path) => {
        const file = before.get(path);
        if (file === undefined) throw this.#incomplete(path);
        return file;
      });
  }

  #incomplete(path: string): DrError {
    const { collection, shard } = this.#request;
    return new DrError("CAPTURE_INCOMPLETE", `${collection} shard ${shard.id}: ${path} is named and did not come`, {
      hint: "take a full capture: `qdrant-dr backup --type full`",
    });
  }
}

/** The chunks of a file that any data touches; between them is nothing but zeros. */
async function* chunksOf(entry: TarEntry): AsyncGenerator<{ index: number; chunk: Uint8Array }> {
  let index = -1;
  let chunk: Buffer = Buffer.alloc(0);
  for await (const { offset, bytes } of entry.content) {
    for (let done = 0; done < bytes.length; ) {
      const at = offset + done;
      const touched = Math.floor(at / chunkSize);
      if (touched !== index) {
        if (index >= 0) yield { index, chunk };
        index = touched;
        chunk = Buffer.alloc(Math.min(chunkSize, entry.size - index * chunkSize));
      }
      const within = at - index * chunkSize;
      const length = Math.min(bytes.length - done, chunk.length - within);
      chunk.set(bytes.subarray(done, done + length), within);
      done += length;
    }
  }
  if (index >= 0) yield { index, chunk };
}

const zeros = Buffer.alloc(chunkSize);

function isZero(chunk: Uint8Array): boolean {
  return zeros.subarray(0, chunk.length).equals(chunk);
}

function pushZeros(list: ChunkList, count: number): void {
  if (count <= 0) return;
  const last = list.at(-1);
  if (typeof last === "number") list[list.length - 1] = last + count;
  else list.push(count);
}
