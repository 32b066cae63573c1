/** Looks at a Qdrant, and at what protects it, without a change: what would be lost today, how long a disaster would take, what endangers it. */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import { type Protection, type Step, stepAfter } from "../../domain/health/next-step.ts";
import {
  type CollectionFacts,
  guessedBytes,
  type Hazard,
  hazardsOf,
  type KeyRights,
} from "../../domain/health/qdrant-hazards.ts";
import { predictedSeconds, usualRates } from "../../domain/recovery-points/restore-estimate.ts";
import { hasCode } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import { fewQuestions } from "../../repository/catalog/content-presence.ts";
import { readNewestRecoveryPoint } from "../../repository/catalog/read-catalog.ts";
import { newestFinishedRestore } from "../../repository/control/restore-records.ts";
import { ignoreUnreadable } from "../../repository/record.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { estimateRestore } from "../apply/estimate-restore.ts";
import { collectionsAtOnce } from "../concurrency.ts";
import { WatchedRuns } from "../monitoring/watched-runs.ts";

export interface QdrantDiagnosisRequest {
  readonly urls: readonly string[];
  readonly database: VectorDatabase;
  /** Where its recovery points are; undefined where nobody has said. Throws RECOVERY_POINT_NOT_FOUND where there is none yet. */
  readonly repository?: (() => Promise<OpenRepository>) | undefined;
  readonly clock: Clock;
}

export interface QdrantDiagnosis {
  readonly urls: readonly string[];
  readonly version: string;
  readonly rights: KeyRights;
  readonly collections: number;
  readonly points: number;
  readonly loss: {
    /** The newest recovery point that can be restored. */
    readonly newest?: { readonly id: string; readonly time: string; readonly ageSeconds: number };
    /** Collections that are in no recovery point that can be restored now. */
    readonly collections: readonly string[];
    /** Points in those. */
    readonly points: number;
  };
  /** A restore into a Qdrant that stands ready; undefined while there is nothing to restore. */
  readonly restore: {
    readonly bytes: number;
    readonly seconds: number;
    readonly isGuessed: boolean;
    /** How many of the region's own restores the prediction is made from. */
    readonly calibratedBy: number;
  };
  readonly hazards: readonly Hazard[];
  readonly next: Step;
}

export async function diagnoseQdrant(request: QdrantDiagnosisRequest): Promise<QdrantDiagnosis> {
  const { clock, database, urls } = request;
  // First: it refuses what is no Qdrant, and peers of several.
  const version = await database.version();
  const [machine, rights, answersWithoutKey, collections] = await Promise.all([
    database.machine().catch(unlessDenied),
    database.rights(),
    database.answersWithoutKey(),
    collectionFacts(database),
  ]);
  const isClustered = (await database.isClustered().catch(unlessDenied)) ?? false;
  const protection = await protectionOf(request);
  const held = new Set(protection.newest?.recoveryPoint.collections.map(({ name }) => name));
  const lacking = collections.filter(({ name }) => !held.has(name));
  const bytes = collections.reduce((sum, each) => sum + guessedBytes(each), 0);
  const guess = {
    bytes,
    seconds: predictedSeconds({ bytes, collections: collections.length, shards: collections.length }, usualRates),
    calibratedBy: 0,
  };
  return {
    urls,
    version,
    rights,
    collections: collections.length,
    points: pointsOf(collections),
    loss: {
      ...(protection.newest === undefined ? {} : { newest: agedOf(protection.newest, clock.now()) }),
      collections: lacking.map(({ name }) => name),
      points: pointsOf(lacking),
    },
    restore:
      protection.newest === undefined
        ? { ...guess, isGuessed: true }
        : { ...protection.newest.restore, isGuessed: false },
    hazards: [
      ...hazardsOf({
        urls,
        version,
        isClustered,
        cores: machine?.cores,
        answersWithoutKey,
        rights,
        collections,
      }),
      ...protection.hazards,
    ],
    next: stepAfter({ ...protection, url: urls[0] ?? "", rights, lacking: lacking.length }),
  };
}

/** A key of few rights is told as such; what it cannot see is left out. */
function unlessDenied(error: unknown): undefined {
  if (hasCode(error, "ACCESS_DENIED", "ANSWER_UNREADABLE")) return undefined;
  throw error;
}

async function collectionFacts(database: VectorDatabase): Promise<CollectionFacts[]> {
  const facts: CollectionFacts[] = [];
  await forEachConcurrently(collectionsAtOnce, await database.collections(), async (name) => {
    try {
      const { config } = await database.describe(name);
      const health = await database.health(name).catch((error: unknown) => {
        // Where a key may not see where its shards are.
        if (hasCode(error, "ACCESS_DENIED")) return "green";
        throw error;
      });
      facts.push({ name, points: await database.count(name), health, config });
    } catch (error) {
      if (!hasCode(error, "QDRANT_REFUSED", "ACCESS_DENIED")) throw error;
      facts.push({ name, points: 0, health: error.message, config: {} });
    }
  });
  return facts.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function pointsOf(collections: readonly CollectionFacts[]): number {
  return collections.reduce((sum, { points }) => sum + points, 0);
}

function agedOf({ asOf, recoveryPoint: { id, time } }: NonNullable<FoundProtection["newest"]>, now: Date) {
  return { id, time, ageSeconds: Math.max(0, (now.getTime() - asOf.getTime()) / 1000) };
}

interface FoundProtection extends Omit<Protection, "url" | "rights" | "lacking"> {
  readonly newest?: {
    readonly recoveryPoint: NonNullable<Awaited<ReturnType<typeof readNewestRecoveryPoint>>["newest"]>["recoveryPoint"];
    /** By times that can be believed. */
    readonly asOf: Date;
    readonly restore: Omit<QdrantDiagnosis["restore"], "isGuessed">;
  };
  readonly hazards: readonly Hazard[];
}

async function protectionOf({ clock, repository: open }: QdrantDiagnosisRequest): Promise<FoundProtection> {
  if (open === undefined)
    return { hasSettings: false, hasRecoveryPoint: false, isVerified: false, wasRestored: false, hazards: [] };
  const repository = await open().catch((error: unknown) => {
    if (hasCode(error, "RECOVERY_POINT_NOT_FOUND")) return undefined;
    throw error;
  });
  const none = { hasSettings: true, hasRecoveryPoint: false, isVerified: false, wasRestored: false } as const;
  if (repository === undefined) return { ...none, hazards: [] };
  const { control } = repository.stores;
  const { listed, newest, wanting } = await readNewestRecoveryPoint(repository, clock.now(), {
    mostQuestions: fewQuestions,
  });
  if (newest === undefined) {
    const what = `${listed} recovery points are there, and none can be restored: ${wanting ?? "none is complete"}`;
    return {
      ...none,
      hazards:
        listed === 0
          ? []
          : [{ severity: "danger", what, mend: "`qdrant-dr recovery-points list` says what each lacks" }],
    };
  }
  const collections = newest.recoveryPoint.collections.map((captured) => ({ captured, name: captured.name }));
  const [runs, restored, { bytes, calibratedBy, predictedSeconds: seconds }] = await Promise.all([
    new WatchedRuns(control, clock, ignoreUnreadable).read(),
    newestFinishedRestore(control),
    estimateRestore(repository, { collections }),
  ]);
  return {
    hasSettings: true,
    hasRecoveryPoint: true,
    isVerified: newest.attestations.some(({ kind }) => kind === "verified") || runs.verify?.succeededAt !== undefined,
    wasRestored: restored !== undefined || runs["test-restore"]?.succeededAt !== undefined,
    newest: { recoveryPoint: newest.recoveryPoint, asOf: newest.asOf, restore: { bytes, seconds, calibratedBy } },
    hazards: [],
  };
}
