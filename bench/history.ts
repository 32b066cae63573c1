/**
 * What replication leaves in a store in days and weeks: a change every ten seconds, a simulated clock, a store in memory. Captures, the
 * choice of the history, the deletion of the stream and prunes are those of the product; a folder stands for Qdrant, whose files it has
 * the shapes of: every change rewrites a few chunks of a large file and appends to another one.
 */
import { retentionSchema } from "../runtime/domain/history/retention.ts";
import { storeLayout } from "../runtime/domain/recovery-points/store-layout.ts";
import { CaptureMemory } from "../runtime/workflows/capture/capture-memory.ts";
import { captureRecoveryPoint } from "../runtime/workflows/capture/capture-recovery-point.ts";
import { folderCapture } from "../runtime/workflows/folders/capture-folder.ts";
import { documentFolder } from "../runtime/workflows/folders/document-folder.ts";
import { StreamPruner } from "../runtime/workflows/prune/prune-stream.ts";
import { HistoryKeeper } from "../runtime/workflows/replicate/history-keeper.ts";
import { PrunedRegion, TestTime } from "../test/support/estates/pruned-region.ts";
import { ageKeys } from "../test/support/estates/recovery-estate.ts";

const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const chunk = 64 * 1024;
/** Of the file whose chunks are rewritten in place, as vectors and pages are. */
const chunksInPlace = 8;
/** Bytes that a change appends, as to a log that is begun anew now and then. */
const appended = 3_200;
const logBytes = 2 * chunk;

export interface HistoryFigures {
  readonly simulatedDays: number;
  readonly recoveryPointsAfterDay: number;
  readonly objectsAfterDay: number;
  /** Undefined when fewer days were simulated. */
  readonly recoveryPointsAfter40Days?: number | undefined;
  readonly objectsAfter40Days?: number | undefined;
  /** The most within the day before the next prune. */
  readonly mostRecoveryPoints: number;
  readonly mostStates: number;
  /** All bytes, divided by twice the newest recovery point and what was changed. */
  readonly bytesVsNewestAndChange: number;
  /** Of the recovery points that are kept: manifests, trees, facts. */
  readonly metadataBytes: number;
  readonly simulatedCaptures: number;
}

/** The bars of each figure; what was not simulated is within them. */
export function isWithinBars(figures: HistoryFigures): boolean {
  const { bytesVsNewestAndChange, mostStates, objectsAfter40Days = 0, objectsAfterDay } = figures;
  const { recoveryPointsAfter40Days = 0, recoveryPointsAfterDay } = figures;
  const isSmall = recoveryPointsAfterDay <= 120 && objectsAfterDay <= 1_200;
  const staysSmall = recoveryPointsAfter40Days <= 320 && objectsAfter40Days <= 3_000;
  return isSmall && staysSmall && mostStates <= 400 && bytesVsNewestAndChange <= 1;
}

/** Every change is captured: 8,640 a day. */
export async function measureHistory(days: number, say: (text: string) => void): Promise<HistoryFigures> {
  const region = new PrunedRegion((await ageKeys()).wrap, new TestTime());
  const { time } = region;
  const begun = time.now().getTime();
  const repository = (await region.open()).withStream();
  const memory = new CaptureMemory();
  const silently = () => undefined;
  const keeper = new HistoryKeeper({ repository, kinds: ["config"], clock: time, progress: silently });
  const stream = new StreamPruner({ repository, prunable: region.repositoryStore, clock: time, progress: silently });
  const retention = retentionSchema.parse({});
  let changes = 0;
  let changedBytes = 0;
  let simulatedCaptures = 0;
  const [inPlace, log] = [Buffer.alloc(chunksInPlace * chunk, "vectors"), Buffer.alloc(logBytes)];
  const source = documentFolder({
    async *documents() {
      yield { path: "vectors", bytes: inPlace, changedAt: time.now() };
      yield { path: "log", bytes: log, changedAt: time.now() };
    },
  });
  const change = () => {
    changes += 1;
    // A pseudo-random place: neighbours in time are none in the file.
    const place = (changes * 7_919) % chunksInPlace;
    inPlace.writeUInt32LE(changes, place * chunk + ((changes * 48) % (chunk - 8)));
    const at = (changes * appended) % logBytes;
    log.fill(`${changes} `, at, Math.min(at + appended, logBytes));
  };
  const capture = async () => {
    const place = memory.base === undefined ? await keeper.placeOfFirst() : repository;
    const report = await captureRecoveryPoint({
      region: "east",
      type: "incremental",
      kinds: ["config"],
      folders: [folderCapture({ kind: "config", name: "collection", source }, silently)],
      database: {} as never,
      repository: place,
      clock: time,
      progress: silently,
      toolVersion: "bench",
      incremental: { memory },
    });
    simulatedCaptures += 1;
    changedBytes += report.storedBytes;
    const state = await place.readRecoveryPoint(report.recoveryPoint);
    if (place.history === place) keeper.wasKept(state);
    const kept = place.history === place ? undefined : await keeper.keep(state);
    if (kept !== undefined) memory.standsFor(kept, time.now());
  };
  const history = () => region.keys(storeLayout.recoveryPoints).filter((key) => key.endsWith("/manifest")).length;
  const objects = () => region.keys().filter((key) => !key.startsWith(storeLayout.stream)).length;
  const states = () => region.keys(storeLayout.inStream(storeLayout.recoveryPoints)).length;
  let [mostStates, mostRecoveryPoints] = [0, 0];
  const looks: { recoveryPoints: number; objects: number }[] = [];
  for (let ms = 0; ms <= days * dayMs; ms += 10 * secondMs) {
    change();
    await capture();
    if (ms % (5 * minuteMs) === 0) {
      mostStates = Math.max(mostStates, states());
      await stream.round();
    }
    if (ms > 0 && ms % dayMs === 0) {
      mostRecoveryPoints = Math.max(mostRecoveryPoints, history());
      await region.prune({ retention });
      say(`day ${ms / dayMs}: ${history()} recovery points, ${objects()} objects, ${states()} states`);
      looks.push({ recoveryPoints: history(), objects: objects() });
    }
    time.pass(Math.max(0, begun + ms + 10 * secondMs - time.now().getTime()));
  }
  const sizeOf = (wanted: (key: string) => boolean) =>
    [...region.repositoryStore.objects].reduce((sum, [key, bytes]) => sum + (wanted(key) ? bytes.length : 0), 0);
  const newest = inPlace.length + log.length;
  const isMetadata = (key: string) => /^(recovery-points|trees|facts|sessions)\//.test(key);
  return {
    simulatedDays: days,
    recoveryPointsAfterDay: looks[0]?.recoveryPoints ?? 0,
    objectsAfterDay: looks[0]?.objects ?? 0,
    recoveryPointsAfter40Days: looks[39]?.recoveryPoints,
    objectsAfter40Days: looks[39]?.objects,
    mostRecoveryPoints,
    mostStates,
    bytesVsNewestAndChange: Math.round((sizeOf(() => true) / (2 * newest + changedBytes)) * 1000) / 1000,
    metadataBytes: sizeOf(isMetadata),
    simulatedCaptures,
  };
}
