/**
 * Proves that a recovery point can be restored: brings each of its collections, one after another, under a scratch name into a Qdrant,
 * compares it as every restore does, asks it by search, and removes it. Live collections are not touched, and captures go on.
 */

import { formatBytes } from "../domain/format.ts";
import { newScratchName } from "../domain/qdrant/scratch-name.ts";
import type { CapturedCollection, RecoveryPoint } from "../domain/recovery-points/recovery-point.ts";
import { DrError, type ErrorCode, toDrError } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Progress } from "../ports/progress.ts";
import type { VectorDatabase } from "../ports/qdrant.ts";
import type { Runner } from "../ports/runner.ts";
import { withFacts } from "../repository/content/collection-facts.ts";
import type { OpenRepository } from "../repository/repository.ts";
import { allCaptured, estimateRestore } from "./apply/estimate-restore.ts";
import { planRestore } from "./apply/plan-restore.ts";
import { type RestoreReport, restore } from "./apply/restore.ts";
import { attestRestored } from "./attest-restored.ts";
import { besideLive, notingUploads, removeLeftovers } from "./scratch-collections.ts";
import { type IndexSearches, searchByIndex } from "./search-by-index.ts";

/** An index that finds fewer of the nearest points is broken, whatever its settings are. */
const leastRecall = 0.2;
/** What the other collections would meet as well. */
const stopsAll: ReadonlySet<ErrorCode> = new Set(["INTERRUPTED", "UNREACHABLE", "ACCESS_DENIED"]);

export interface TestRestoreRequest {
  readonly repository: OpenRepository;
  /** The region whose repository it is. */
  readonly region: string;
  readonly recoveryPoint: RecoveryPoint;
  readonly target: VectorDatabase;
  /** What another Qdrant than the region's own is called. */
  readonly targetName?: string | undefined;
  /** Names of collections; all of the recovery point when left out. */
  readonly only?: readonly string[] | undefined;
  readonly runner: Runner;
  readonly clock: Clock;
  readonly progress: Progress;
  onInterrupt?(clean: () => Promise<void>): () => void;
}

export interface TestedCollection {
  readonly name: string;
  readonly points: number;
  readonly samples: number;
  readonly canaries: number;
  /** Which canary queries were not asked, and why, as sentences. */
  readonly skipped: readonly string[];
  /** Searches by the index that found something. */
  readonly searches: number;
  /** The share of the nearest points, as exact searches find them, that searches by the index find. */
  readonly recall?: number;
  readonly seconds: number;
}

export interface TestRestoreReport {
  readonly recoveryPoint: string;
  readonly collections: readonly TestedCollection[];
  /** Scratch collections of earlier runs that were removed. */
  readonly removed: readonly string[];
  readonly seconds: number;
}

/**
 * @throws DISK_FULL before anything is made, when the target cannot have the room.
 * @throws VERIFICATION_FAILED, or what else stopped a collection, when all others were tried.
 */
export async function testRestore(request: TestRestoreRequest): Promise<TestRestoreReport> {
  const { clock, onInterrupt, progress } = request;
  const begun = clock.monotonic();
  const wanted = wantedOf(request);
  const removed = await removeLeftovers({ ...request, control: request.repository.stores.control });
  await refuseWithoutRoom(request, wanted);
  const interruption = new AbortController();
  const ended = Promise.withResolvers<void>();
  const withdraw = onInterrupt?.(async () => {
    interruption.abort(new DrError("INTERRUPTED", "the test restore was interrupted", { hint: "run it again" }));
    await ended.promise;
  });
  const collections: TestedCollection[] = [];
  const problems: { readonly name: string; readonly problem: DrError }[] = [];
  try {
    for (const captured of wanted) {
      interruption.signal.throwIfAborted();
      try {
        collections.push(await testCollection(request, captured));
      } catch (error) {
        const problem = toDrError(error);
        if (stopsAll.has(problem.code)) throw problem;
        progress({ step: "test", detail: `${captured.name} failed: ${problem.message}` });
        problems.push({ name: captured.name, problem });
      }
    }
  } finally {
    ended.resolve();
    withdraw?.();
  }
  refuseProblems(request.recoveryPoint, problems, wanted.length);
  if (request.only === undefined) await attestRestored(request, request.recoveryPoint, sumOf(collections));
  return { recoveryPoint: request.recoveryPoint.id, collections, removed, seconds: (clock.monotonic() - begun) / 1000 };
}

function sumOf(collections: readonly TestedCollection[]) {
  const sum = (field: "points" | "samples" | "canaries") => collections.reduce((all, each) => all + each[field], 0);
  const recalls = collections.flatMap(({ recall }) => recall ?? []);
  return {
    ...{ points: sum("points"), samples: sum("samples"), canaries: sum("canaries") },
    ...(recalls.length === 0 ? {} : { recall: Math.min(...recalls) }),
  };
}

function wantedOf({ only, recoveryPoint }: TestRestoreRequest): readonly CapturedCollection[] {
  const { collections, id } = recoveryPoint;
  const unknown = (only ?? []).filter((name) => !collections.some((collection) => collection.name === name));
  if (unknown.length === 0) return collections.filter(({ name }) => only?.includes(name) ?? true);
  throw new DrError("USAGE", `${unknown.join(", ")} is not in ${id}`, {
    hint: `it holds ${collections.map(({ name }) => name).join(", ") || "none"}`,
  });
}

async function testCollection(
  { clock, onInterrupt, progress, recoveryPoint, repository, runner, target, targetName }: TestRestoreRequest,
  captured: CapturedCollection,
): Promise<TestedCollection> {
  const begun = clock.monotonic();
  const { control } = repository.stores;
  const name = newScratchName(clock.now());
  const noted = targetName === undefined ? notingUploads(target, control, clock) : target;
  const tools = { clock, progress: silentAbout(name, captured.name, progress), repository, target: noted };
  let report: RestoreReport;
  let searches: IndexSearches;
  try {
    const plan = await planRestore({
      ...tools,
      recoveryPoint,
      targetName: targetName ?? besideLive,
      only: [captured.name],
      as: name,
    });
    report = await restore({ ...tools, onInterrupt, runner: runner.mark }, plan);
    searches = await searchIn(target, repository, { ...captured, name }, captured.name);
  } catch (error) {
    // What is left is removed by the next run, as after a kill.
    await target.deleteCollection(name).catch(() => undefined);
    throw error;
  }
  await target.deleteCollection(name);
  const { canaries, points, samples } = report;
  const skipped = report.skipped.map((sentence) => sentence.replaceAll(name, captured.name));
  const { found, recall } = searches;
  progress({ step: "test", detail: `${captured.name} is as captured: ${points} points` });
  const answered = { points, samples, canaries, skipped, searches: found, ...(recall === undefined ? {} : { recall }) };
  return { name: captured.name, ...answered, seconds: (clock.monotonic() - begun) / 1000 };
}

/**
 * Asks what was restored.
 * @param told what people call it.
 * @throws VERIFICATION_FAILED when searches find nothing, or far too little.
 */
export async function searchIn(
  target: VectorDatabase,
  repository: OpenRepository,
  restored: CapturedCollection,
  told: string,
): Promise<IndexSearches> {
  const [collection] = await withFacts(repository, [restored]);
  if (collection === undefined) throw new Error("each collection has facts");
  const searches = await searchByIndex(target, collection, await repository.keys.key(restored.key));
  refuseBlindIndex(told, searches);
  return searches;
}

/** What was restored answers exact searches as the source did, and searches by the index as badly as never before. */
function refuseBlindIndex(name: string, { asked, found, recall }: IndexSearches): void {
  const isBlind = asked > 0 && found === 0;
  if (!isBlind && (recall ?? 1) >= leastRecall) return;
  const what = isBlind ? "nothing" : `${Math.round(100 * (recall ?? 0))} % of the nearest points`;
  throw new DrError("VERIFICATION_FAILED", `${name}: searches by the index find ${what}`, {
    hint: "look at the log of the Qdrant that was restored into, and at the collection's HNSW and quantization settings",
  });
}

/** Lets the tools of a restore speak of the collection, not of its scratch name. */
function silentAbout(scratch: string, name: string, progress: Progress): Progress {
  return ({ detail, ...event }) =>
    progress({ ...event, ...(detail === undefined ? {} : { detail: detail.replaceAll(scratch, `${name} (test)`) }) });
}

/** The disk is known by its size alone; the live data are about as large as the recovery point that holds them. */
async function refuseWithoutRoom(
  { recoveryPoint, repository, target, targetName }: TestRestoreRequest,
  wanted: readonly CapturedCollection[],
): Promise<void> {
  if (wanted.length === 0) return;
  const { collections } = await estimateRestore(repository, allCaptured(recoveryPoint));
  const live = targetName === undefined ? collections.reduce((sum, { bytes }) => sum + bytes, 0) : 0;
  const largest = Math.max(
    ...collections.filter(({ captured }) => wanted.some(({ name }) => name === captured)).map(({ bytes }) => bytes),
  );
  const { diskBytes } = await target.machine();
  if (diskBytes === 0 || live + largest <= diskBytes) return;
  const beside = live === 0 ? "" : ` beside the ${formatBytes(live)} that are there`;
  throw new DrError(
    "DISK_FULL",
    `a test restore takes up to ${formatBytes(largest)}${beside}, and the disk of that Qdrant has ${formatBytes(diskBytes)} in all; nothing was made`,
    { hint: "let testRestore.qdrant name another Qdrant, or test some collections with --collections" },
  );
}

function refuseProblems(
  { id }: RecoveryPoint,
  problems: readonly { readonly name: string; readonly problem: DrError }[],
  tried: number,
): void {
  const [first] = problems;
  if (first === undefined) return;
  const { code, hint, message } = first.problem;
  const names = problems.map(({ name }) => name).join(", ");
  throw new DrError(
    code,
    `${problems.length} of ${tried} collections of ${id} cannot be restored: ${names}; ${message}`,
    {
      hint,
      cause: first.problem,
    },
  );
}
