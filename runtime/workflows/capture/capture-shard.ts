/**
 * Captures one shard into the repository: reads what changed since its last capture, stores what is not stored yet, and
 * names a tree from which the whole shard can be put together without Qdrant's help.
 */
import type { Semaphore } from "../../async/semaphore.ts";
import { withTimeout } from "../../async/with-timeout.ts";
import {
  filesOfSegment,
  parseSegment,
  type SegmentManifest,
  segmentsThatWentBack,
  unnamedFilesOf,
  versionOf,
} from "../../domain/qdrant/segment-manifest.ts";
import { readSparseTar, type TarEntry } from "../../domain/qdrant/sparse-tar.ts";
import { countsEveryOperation, isOfLog } from "../../domain/qdrant/write-ahead-log.ts";
import type { DataKey } from "../../domain/recovery-points/key.ts";
import type { CapturedShard } from "../../domain/recovery-points/recovery-point.ts";
import { type ShardTree, shardTreeSchema } from "../../domain/recovery-points/shard-tree.ts";
import { DrError, hasCode } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Optimizations, ShardPlacement, VectorDatabase } from "../../ports/qdrant.ts";
import { ContentWriter, type OrphanedPieces } from "../../repository/content/content-writer.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { waitAtMost } from "../../time/wait-until.ts";
import { type BorrowedSnapshot, withTemporarySnapshot } from "./temporary-snapshot.ts";
import { StallError, watchForStall } from "./watch-for-stall.ts";

const segmentManifestFile = /^segments\/[^/]+\/files\/segment_manifest\.json$/;
const isOfSegment = (path: string) => /^segments\/./.test(path);
/** Files beside the segments that a restore needs. */
const shardFiles = new Set(["replica_state.json", "shard_config.json", "newest_clocks.json"]);

export interface ShardCapture {
  readonly tree: { readonly id: string; readonly size: number };
  readonly content: ShardTree;
  readonly startedAt: Date;
  readonly finishedAt: Date;
  readonly method: CapturedShard["method"];
  readonly isExact: boolean;
  /** The server said that nothing changed since the base. */
  readonly isUnchanged: boolean;
  /** Files that a full capture found with the base's version and other bytes: what was built on versions is wrong. */
  readonly contradictions: readonly string[];
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
  /** The last capture of this shard, if there is one, and all of its tree is there. */
  readonly base?: {
    readonly isExact: boolean;
    readonly tree: ShardTree & { readonly id: string; readonly size: number };
  };
  /** Read everything, whatever the base says. */
  readonly isFull: boolean;
  readonly clock: Clock;
  /** What a capture that was cut off has stored already. */
  unclaimed?(): Promise<OrphanedPieces | undefined>;
  /** To be awaited before anything is stored. */
  beginStoring?(): Promise<void>;
  /** Told how many bytes came since the last call. */
  onRead?(bytes: number): void;
  readonly patience: CapturePatience;
  /** Taken to read and store; not to wait for quiet beforehand, or for what the server tells of it afterwards. */
  readonly turns: Semaphore;
  /** How long it goes on while its server answers nothing else; 5 s when left out. */
  readonly heldUpMs?: number;
}

export interface CapturePatience {
  /** How long an optimization is waited for. */
  readonly quietMs: number;
  /** How often a capture is tried before it is kept as not exact. */
  readonly attempts: number;
  /** Take a collection snapshot when an optimization outlasts that. */
  readonly usesSnapshot: boolean;
}

/**
 * Captures until it is known to be exact, or patience ends; the last capture then says that it is not. What cannot be had
 * exactly because an optimization does not end, or one begins each time, is taken from a collection snapshot.
 */
export async function captureShard(request: ShardCaptureRequest): Promise<ShardCapture> {
  let next = request;
  let hasOneBegun = false;
  for (let attempt = 1; ; attempt += 1) {
    const isLast = attempt >= request.patience.attempts;
    const attempted = await inQuietTurn(next, attempt, async (before) => {
      const isOutlasted = before !== undefined && (before.running > 0 || (hasOneBegun && isLast));
      const taken = isOutlasted && request.patience.usesSnapshot ? await captureFromSnapshot(next, isLast) : "refused";
      return { before, taken: taken === "refused" ? await captureUnlessStalled(next, before) : taken };
    });
    if (attempted.taken === "ended") continue;
    const { isExact, ...rest } = attempted.taken;
    const capture = { ...rest, isExact: await isExact() };
    if (capture.isExact) return capture;
    // Unchanged since a capture that was not exact: only what is read anew can be.
    const isWorthReading = capture.isUnchanged && !next.isFull && attempted.before?.running === 0;
    if (isLast && !isWorthReading) return capture;
    if (capture.isUnchanged) next = { ...request, isFull: true };
    else hasOneBegun = true;
  }
}

/**
 * Others have their turns while an optimization is waited for; one that began before the turn came is waited for as well. To wait
 * for the turn is no patience with the server.
 */
async function inQuietTurn<T>(
  request: ShardCaptureRequest,
  attempt: number,
  act: (before: Optimizations | undefined) => Promise<T>,
): Promise<T> {
  const { clock, collection, database, patience, shard, turns } = request;
  let deadline = clock.monotonic() + patience.quietMs;
  const isBusy = (before: Optimizations | undefined) =>
    before !== undefined && before.running > 0 && clock.monotonic() < deadline;
  for (let ageMs = attempt === 1 ? recentMs : undefined; ; ageMs = undefined) {
    await waitForQuiet(request, deadline, ageMs);
    const asked = clock.monotonic();
    const acted = await turns.run(async () => {
      deadline += clock.monotonic() - asked;
      const before = await database.optimizations(collection, shard, { ageMs: recentMs });
      return isBusy(before) ? undefined : { answer: await act(before) };
    });
    if (acted !== undefined) return acted.answer;
  }
}

/** A capture of which the server still has to tell whether it is exact. */
interface TakenCapture extends Omit<ShardCapture, "isExact"> {
  isExact(): Promise<boolean>;
}

/**
 * Whether no optimization ran at the moment the capture froze the shard's segments: none ran before the request, and
 * until the first file of a segment, which is sent after the freeze, none began. What begins later works on other copies.
 * A manifest of all segments may come before the freeze (1.19.0 with its feature flag `write_segment_manifest`).
 */
function wasQuiet(before: Optimizations | undefined, afterFreeze: Optimizations | undefined): boolean {
  if (before === undefined || afterFreeze === undefined || before.running > 0) return false;
  const begun = new Set(before.begun);
  return afterFreeze.begun.every((mark) => begun.has(mark));
}

/** What was quiet so long ago is looked at once: what began since is seen after the first file of a segment. */
const recentMs = 2_000;

/** What still runs at the deadline is the caller's to judge. */
async function waitForQuiet(
  request: ShardCaptureRequest,
  deadline = request.clock.monotonic() + request.patience.quietMs,
  ageMs?: number,
): Promise<Optimizations | undefined> {
  const { clock, collection, database, shard } = request;
  let age = ageMs;
  let seen: Optimizations | undefined;
  await waitAtMost(clock, { withinMs: deadline - clock.monotonic(), everyMs: 100 }, async () => {
    seen = await database.optimizations(collection, shard, age === undefined ? {} : { ageMs: age });
    age = undefined;
    return seen === undefined || seen.running === 0;
  });
  return seen;
}

/**
 * "refused" when the server makes no snapshot: it may lack the space. "ended" when the snapshot is not known to be exact: it
 * is not read then, unless there is no other chance.
 */
async function captureFromSnapshot(
  request: ShardCaptureRequest,
  isLast: boolean,
): Promise<TakenCapture | "refused" | "ended"> {
  const { clock, collection, database, repository, shard } = request;
  await request.beginStoring?.();
  const startedAt = clock.now();
  const before = await database.optimizations(collection, shard);
  let snapshot: BorrowedSnapshot;
  try {
    snapshot = await withTemporarySnapshot({ clock, collection, control: repository.stores.control, database, shard });
  } catch (error) {
    if (!hasCode(error, "QDRANT_REFUSED")) throw error;
    return "refused";
  }
  const recording = new ShardRecorder(request, await request.unclaimed?.());
  try {
    const isExact = noneEnded(before, await database.optimizations(collection, shard));
    if (!isExact && !isLast) return "ended";
    for await (const entry of snapshot.read()) await recording.take(entry);
    // No segment manifest comes with it: the next capture has none to begin from, and reads everything.
    const stored = await recording.finish(false);
    const rest = { isUnchanged: false, contradictions: [] };
    const told = { method: "collection-snapshot", isExact: async () => isExact } as const;
    return { ...stored, startedAt, finishedAt: clock.now(), ...told, ...rest };
  } finally {
    recording.close();
    await snapshot.giveBack();
  }
}

/**
 * Whether what ran before still runs. The deletes that running optimizations hold back are in the snapshot's copy of the
 * log, which is made after the copies of the segments: one that ends between the two may take its deletes out of both.
 */
function noneEnded(before: Optimizations | undefined, after: Optimizations | undefined): boolean {
  return before !== undefined && after !== undefined && before.underWay.every((mark) => after.underWay.includes(mark));
}

/** Longer than a busy server takes for an answer. */
const usuallyHeldUpMs = 5_000;
/** So many times as long a server may take to answer again, once nothing of its shard is being read any more. */
const answersAgainWithin = 12;

/**
 * Gives way once; a server that is only slow would never be captured otherwise. One that goes on to answer nothing will not
 * recover: from 1.18 on, a change of a collection's settings and a capture of it can wait for each other in the last thread
 * that serves the web (`SegmentHolder` in `recreate_optimizers`, 1.19.0).
 */
async function captureUnlessStalled(
  request: ShardCaptureRequest,
  before: Optimizations | undefined,
): Promise<TakenCapture> {
  try {
    return await captureOnce(request, before, request.heldUpMs ?? usuallyHeldUpMs);
  } catch (error) {
    if (!(error instanceof StallError)) throw error;
    await refuseUnlessAnswering(request);
    return captureOnce(request, await waitForQuiet(request));
  }
}

/** Answered when whoever waited has been served. */
async function refuseUnlessAnswering({ collection, database, heldUpMs, shard }: ShardCaptureRequest): Promise<void> {
  await withTimeout(
    answersAgainWithin * (heldUpMs ?? usuallyHeldUpMs),
    `the Qdrant of ${collection} shard ${shard.id} (${shard.peerUrl}), whose capture was given up,`,
    () => database.optimizations(collection, shard),
    "if it goes on so, restart it, and give it more web workers (QDRANT__SERVICE__MAX_WORKERS=4); change no settings of a collection while it is captured",
  );
}

async function captureOnce(
  request: ShardCaptureRequest,
  before: Optimizations | undefined,
  heldUpMs?: number,
): Promise<TakenCapture> {
  const { base, clock, collection, database, lineage, shard } = request;
  const comparable = base !== undefined && base.tree.lineage === lineage ? base : undefined;
  const startedAt = clock.now();
  const manifest = request.isFull || comparable === undefined ? {} : whatQdrantTakes(comparable.tree.segments);
  const stream = await database.captureShard(collection, shard, manifest);
  if (stream === undefined) return asInBase(request, comparable, startedAt);
  const look = () => database.optimizations(collection, shard);
  const endWatch = heldUpMs === undefined ? undefined : watchForStall(clock, stream, look, heldUpMs);
  let recording: ShardRecorder | undefined;
  try {
    await request.beginStoring?.();
    recording = new ShardRecorder(request, await request.unclaimed?.());
    if (stream.errored) throw stream.errored;
    let afterFreeze: Promise<Optimizations | undefined> | undefined;
    for await (const entry of readSparseTar(stream)) {
      if (afterFreeze === undefined && isOfSegment(entry.path)) {
        // Not awaited before the stream is read: while a collection waits to be dropped until its capture ends, Qdrant answers
        // nothing at all (1.16.3).
        afterFreeze = look();
        afterFreeze.catch(() => undefined);
      }
      await recording.take(entry);
    }
    const wentBack = segmentsThatWentBack(comparable?.tree.segments ?? {}, recording.segments);
    if (wentBack.length === 0 || request.isFull) {
      const carries = !request.isFull && comparable !== undefined;
      const stored = await recording.finish(carries);
      const contradictions = carries ? [] : recording.contradictions(comparable?.tree.segments ?? {});
      const told = { method: "partial-snapshot", isUnchanged: false, contradictions } as const;
      const isExact = async () => wasQuiet(before, await (afterFreeze ?? look()));
      return { ...stored, startedAt, finishedAt: clock.now(), ...told, isExact };
    }
  } finally {
    endWatch?.();
    stream.destroy();
    recording?.close();
  }
  // The server's history is another one: what it left out would be taken from a past that is not its own.
  return captureOnce({ ...request, isFull: true }, await waitForQuiet(request));
}

/** The same state as then: what was exact is, and what was not is not. */
function asInBase(
  { clock, collection, shard }: ShardCaptureRequest,
  base: ShardCaptureRequest["base"],
  startedAt: Date,
): TakenCapture {
  if (base === undefined) {
    throw new DrError("CAPTURE_INCOMPLETE", `${collection} shard ${shard.id}: Qdrant sent nothing for a first capture`);
  }
  const { id, size, ...content } = base.tree;
  return {
    tree: { id, size },
    content,
    startedAt,
    finishedAt: clock.now(),
    method: "partial-snapshot",
    isExact: async () => base.isExact,
    isUnchanged: true,
    contradictions: [],
    readBytes: 0,
    storedBytes: 0,
  };
}

/** Qdrant refuses a manifest of 2 MiB (fixed, 1.16.3); without one it sends everything, which is right as well. */
function whatQdrantTakes(segments: SegmentManifest): SegmentManifest {
  return Buffer.byteLength(JSON.stringify(segments)) < 2_000_000 ? segments : {};
}

/** One pass over an archive, file by file into the repository. */
class ShardRecorder {
  readonly segments: SegmentManifest = {};
  readonly #request: ShardCaptureRequest;
  readonly #content: ContentWriter;
  readonly #came = new Set<string>();
  #changed: ReadonlySet<string> = new Set();

  constructor(request: ShardCaptureRequest, unclaimed: OrphanedPieces | undefined) {
    const { base, key, repository } = request;
    this.#request = request;
    this.#content = new ContentWriter(repository, key, base?.tree, unclaimed);
  }

  async take(entry: TarEntry): Promise<void> {
    if (entry.type === "directory") return;
    if (segmentManifestFile.test(entry.path)) {
      const parts: Uint8Array[] = [];
      for await (const { bytes } of entry.content) parts.push(bytes);
      const segment = parseSegment(Buffer.concat(parts).toString("utf8"));
      this.segments[segment.segment_id] = segment;
    } else if (isOfSegment(entry.path) || isOfLog(entry.path) || shardFiles.has(entry.path)) {
      await this.#content.addFile(entry.path, entry.size, this.#told(entry.content));
      this.#came.add(entry.path);
    }
  }

  async *#told(contents: TarEntry["content"]): TarEntry["content"] {
    for await (const extent of contents) {
      this.#request.onRead?.(extent.bytes.length);
      yield extent;
    }
  }

  /** Writes the tree; what the archive left out is carried over from the base, and must be there. */
  async finish(carries: boolean): Promise<Pick<ShardCapture, "tree" | "content" | "readBytes" | "storedBytes">> {
    const { collection, key, lineage, repository, shard } = this.#request;
    if (!this.#came.has("replica_state.json")) throw this.#incomplete("replica_state.json");
    for (const path of Object.values(this.segments).flatMap(unnamedFilesOf)) {
      if (!this.#came.has(path)) throw this.#incomplete(path);
    }
    for (const path of Object.values(this.segments).flatMap(filesOfSegment)) {
      if (this.#came.has(path)) continue;
      if (!carries || !this.#content.carry(path)) throw this.#incomplete(path);
    }
    if (!countsEveryOperation([...this.#came], this.segments)) throw this.#incomplete("a write-ahead log");
    const { changed, files, packs, readBytes, storedBytes } = await this.#content.finish();
    this.#changed = changed;
    const content: ShardTree = {
      format: 1,
      collection,
      shard: shard.id,
      lineage,
      segments: this.segments,
      files: [...files],
      packs: [...packs],
    };
    const tree = await repository.createTree(key, shardTreeSchema, content);
    return { tree, content, readBytes, storedBytes: storedBytes + tree.size };
  }

  /** Files whose version is that of the base's segments, and whose bytes are not; known when everything is stored. */
  contradictions(base: SegmentManifest): string[] {
    return [...this.#changed].filter((path) => {
      const version = versionOf(this.segments, path);
      return version !== undefined && version === versionOf(base, path);
    });
  }

  /** To be called in the end, however it ends. */
  close(): void {
    this.#content.close();
  }

  #incomplete(path: string): DrError {
    const { collection, shard } = this.#request;
    return new DrError("CAPTURE_INCOMPLETE", `${collection} shard ${shard.id}: ${path} is named and did not come`, {
      hint: "take a full capture: `qdrant-dr backup --type full`",
    });
  }
}
