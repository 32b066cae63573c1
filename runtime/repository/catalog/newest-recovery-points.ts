/**
 * Finds the newest recovery points of a bucket by type, by exactness and by verification, again and again: metrics are made of
 * them. It differs from `readNewestRecoveryPoint` in what it remembers: a manifest that was read once is not read again.
 */
import { doubtIn, holds, type RestorableEntry, resolveLatestRestorable } from "../../domain/recovery-points/catalog.ts";
import { believedTime } from "../../domain/recovery-points/order.ts";
import {
  type CaptureType,
  captureTypes,
  isExact,
  type RecoveryPoint,
} from "../../domain/recovery-points/recovery-point.ts";
import type { OpenRepository } from "../repository.ts";
import { whenReadable } from "../when-readable.ts";
import { BucketView } from "./bucket-view.ts";
import { ContentPresence, fewQuestions } from "./content-presence.ts";
import { hasAttestation } from "./listed-recovery-points.ts";
import { type BelievedAge, never, wantingOf } from "./read-catalog.ts";

/** A recovery point whose time can be believed. */
interface DatedRecoveryPoint {
  readonly recoveryPoint: RecoveryPoint;
  readonly asOf: Date;
}

export interface NewestRecoveryPoints {
  /** As `readNewestRecoveryPoint` answers. */
  readonly newest?: RestorableEntry & BelievedAge;
  /** Where none is complete, what the newest lacks. */
  readonly wanting?: string | undefined;
  /** Those whose time can be believed. */
  readonly byType: Partial<Readonly<Record<CaptureType, DatedRecoveryPoint>>>;
  readonly exactByType: Partial<Readonly<Record<CaptureType, DatedRecoveryPoint>>>;
  /** That was read back whole in this region. */
  readonly verified?: DatedRecoveryPoint;
  /** That was restored in a test. */
  readonly restored?: DatedRecoveryPoint;
}

interface RecoveryPointFacts {
  readonly type: CaptureType;
  readonly isExact: boolean;
  readonly isOfQdrant: boolean;
}

/** Manifests and recovery points that one look reads at most; the next one goes on. */
const readsPerLook = 60;
/** A month: who captures or verifies more seldom is told so by then. */
const mostDays = 35;

export class NewestRecoveryPointsReader {
  readonly #repository: OpenRepository;
  readonly #region: string;
  /** Of each manifest that was read: nothing in it ever changes. */
  #facts = new Map<string, RecoveryPointFacts>();
  /** Of the objects of the recovery points that the last look found. */
  readonly #presence: ContentPresence;

  constructor(repository: OpenRepository, region: string) {
    this.#repository = repository;
    this.#region = region;
    this.#presence = new ContentPresence(repository, fewQuestions);
  }

  async read(now: Date): Promise<NewestRecoveryPoints> {
    this.#presence.refresh();
    const view = await BucketView.read(this.#repository, undefined, this.#presence);
    const seen = new Set<string>();
    const needed = new Set<string>();
    const found: Found = { byType: {}, exactByType: {} };
    let reads = 0;
    let wanting: string | undefined;
    for await (const listed of view.newestFirst({ mostStretches: mostDays })) {
      if (isAllFound(found) || reads >= readsPerLook) break;
      const { id } = listed;
      seen.add(id);
      if (!this.#facts.has(id)) {
        reads += 1;
        await this.#learn(id);
      }
      const facts = this.#facts.get(id);
      // By the keys alone; which region found it, the attestation says.
      const attested = { verified: hasAttestation(listed, "verified"), restored: hasAttestation(listed, "restored") };
      if (facts !== undefined && !isWanted(found, facts, attested)) continue;
      reads += 1;
      const entry = await view.entry(listed);
      const complete = resolveLatestRestorable([entry]);
      if (complete === undefined) {
        wanting ??= wantingOf(entry);
        continue;
      }
      for (const key of this.#presence.keysOf(complete.recoveryPoint)) needed.add(key);
      take(found, complete, { here: this.#region, now });
    }
    this.#forget(seen);
    this.#presence.keepOnly(needed);
    const { newest, newestAsOf: asOf = never, ...dated } = found;
    return { ...dated, ...(newest === undefined ? {} : { newest: { ...newest, asOf } }), wanting };
  }

  async #learn(id: string): Promise<void> {
    const recoveryPoint = await whenReadable(this.#repository.readRecoveryPoint(id));
    // What cannot be read now may be readable later.
    if (recoveryPoint === undefined) return;
    this.#facts.set(id, {
      type: recoveryPoint.type,
      isExact: isExact(recoveryPoint),
      isOfQdrant: holds(recoveryPoint, ["qdrant"]) && recoveryPoint.imported === undefined,
    });
  }

  #forget(seen: ReadonlySet<string>): void {
    for (const id of this.#facts.keys()) if (!seen.has(id)) this.#facts.delete(id);
  }
}

interface Found {
  newest?: RestorableEntry & Pick<BelievedAge, "doubt">;
  /** Of the newest one that has such a time. */
  newestAsOf?: Date;
  byType: Partial<Record<CaptureType, DatedRecoveryPoint>>;
  exactByType: Partial<Record<CaptureType, DatedRecoveryPoint>>;
  verified?: DatedRecoveryPoint;
  restored?: DatedRecoveryPoint;
}

function isAllFound({ byType, exactByType, restored, verified }: Found): boolean {
  const isSettled = (recoveryPoints: Found["byType"]) =>
    captureTypes.every((type) => recoveryPoints[type] !== undefined);
  return isSettled(byType) && isSettled(exactByType) && verified !== undefined && restored !== undefined;
}

function take(
  found: Found,
  entry: RestorableEntry,
  { here, now }: { readonly here: string; readonly now: Date },
): void {
  const { attestations, recoveryPoint, storedAt } = entry;
  found.newest ??= { ...entry, doubt: doubtIn(entry, now) };
  const asOf = believedTime(recoveryPoint.time, { now, storedAt });
  if (asOf === undefined) return;
  found.newestAsOf ??= asOf;
  const dated = { recoveryPoint, asOf };
  found.byType[recoveryPoint.type] ??= dated;
  if (isExact(recoveryPoint)) found.exactByType[recoveryPoint.type] ??= dated;
  if (attestations.some(({ kind, region }) => kind === "verified" && region === here)) found.verified ??= dated;
  if (attestations.some(({ kind }) => kind === "restored")) found.restored ??= dated;
}

function isWanted(
  found: Found,
  { isExact, isOfQdrant, type }: RecoveryPointFacts,
  attested: { readonly verified: boolean; readonly restored: boolean },
): boolean {
  if (!isOfQdrant) return false;
  if (found.byType[type] === undefined) return true;
  if (isExact && found.exactByType[type] === undefined) return true;
  if (attested.restored && found.restored === undefined) return true;
  return attested.verified && found.verified === undefined;
}
