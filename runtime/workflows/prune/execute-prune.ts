/**
 * The second phase: deletes what both the plan and a new count say. Manifests go first, and then what they alone needed, part by
 * part; each part that was gone through is recorded, so that a run that was killed anywhere is gone on with by the next one.
 */
import { clockToleranceMs } from "../../domain/history/decide-kept.ts";
import {
  type DroppedObject,
  type DroppedRecoveryPoint,
  type PartDone,
  type PruneDone,
  type PrunePlan,
  partDoneSchema,
  pruneBegunSchema,
  pruneDoneSchema,
} from "../../domain/history/prune-records.ts";
import { controlLayout, parseStoreKey, storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { mostKeysAtOnce } from "../../ports/prunable-store.ts";
import { hasBegun } from "../../repository/prune/prune-log.ts";
import { OpenPlan } from "../../repository/prune/prune-sight.ts";
import { createRecord, readOptionalRecord } from "../../repository/record.ts";
import { isHealedNeeded, whatOf } from "./plan-prune.ts";
import type { PruneRequest } from "./prune-context.ts";
import { type Look, lookAtRepository, type Survey, type SurveyRequest, surveyRepository } from "./survey-repository.ts";

export interface Execution extends PruneRequest {
  readonly number: number;
  readonly plan: PrunePlan;
  /** By the store's clock. */
  readonly plannedAt: Date;
  /** By the store's clock. */
  readonly storeNow: Date;
  /** Throws when another run prunes; says that this one is alive. */
  stayMine(): Promise<void>;
}

type Deleted = { -readonly [Field in "recoveryPoints" | "trees" | "facts" | "packs" | "records" | "bytes"]: number };

/**
 * What captures and copies use that began before the plan is not known from records, and they do not know the plan: it waits until they
 * have ended, or have been silent for two days. Those that began since build on nothing that it drops.
 */
function captureBefore({ holders }: Look, plannedAt: Date): string | undefined {
  for (const [session, begunAt] of holders.openSessions) {
    if (begunAt.getTime() < plannedAt.getTime() + clockToleranceMs) return session;
  }
  return undefined;
}

/** What was done, or the session of a capture or copy for whose end it waits. */
export async function executePlan(execution: Execution): Promise<PruneDone | { readonly waitsFor: string }> {
  const { clock, number, plan, repository, run } = execution;
  const { control } = repository.stores;
  const open = new OpenPlan(control, number, plan);
  const planned = await allRecoveryPoints(open);
  const isBegun = await hasBegun(control, number);
  await execution.stayMine();
  if (!isBegun) {
    const waitsFor = captureBefore(await lookAtRepository(lookOf(execution, planned, isBegun)), execution.plannedAt);
    if (waitsFor !== undefined) return { waitsFor };
    // Who commits a recovery point after this learns of it; what was committed before is listed below.
    const at = clock.now().toISOString();
    await createRecord(control, controlLayout.pruneBegun(number), pruneBegunSchema, { run, at });
  }
  const survey = await surveyRepository(lookOf(execution, planned, isBegun));
  const executor = new PlanExecutor(execution, survey);
  await executor.deleteRecoveryPoints(planned);
  let part = plan.parts.recoveryPoints;
  for await (const objects of open.objects()) {
    await executor.deleteObjects(part, objects);
    part += 1;
  }
  const done = executor.done();
  await execution.stayMine();
  await createRecord(control, controlLayout.pruneDone(number), pruneDoneSchema, done);
  return done;
}

async function allRecoveryPoints(plan: OpenPlan): Promise<DroppedRecoveryPoint[]> {
  const all: DroppedRecoveryPoint[] = [];
  for await (const recoveryPoints of plan.recoveryPoints()) all.push(...recoveryPoints);
  return all;
}

function lookOf(execution: Execution, planned: readonly DroppedRecoveryPoint[], isBegun: boolean): SurveyRequest {
  const { counted, dropped, kept } = execution.plan;
  const gone = isBegun ? dropped : { recoveryPoints: 0, trees: 0, facts: 0, packs: 0 };
  return {
    ...execution,
    // What is given up now is in the next plan; of this one nothing was needed by it.
    giveUp: [...execution.giveUp, ...planned.flatMap(({ id, isGivenUp }) => (isGivenUp ? [id] : []))],
    deletable: new Set(planned.map(({ id }) => id)),
    expected: {
      counts: {
        recoveryPoints: counted.recoveryPoints - gone.recoveryPoints,
        trees: counted.trees - gone.trees,
        facts: counted.facts - gone.facts,
        packs: counted.packs - gone.packs,
      },
      recoveryPoints: kept,
    },
  };
}

class PlanExecutor {
  readonly #execution: Execution;
  readonly #survey: Survey;
  readonly #deleted: Deleted = { recoveryPoints: 0, trees: 0, facts: 0, packs: 0, records: 0, bytes: 0 };
  #spared = 0;
  #locked = 0;

  constructor(execution: Execution, survey: Survey) {
    this.#execution = execution;
    this.#survey = survey;
  }

  async deleteRecoveryPoints(planned: readonly DroppedRecoveryPoint[]): Promise<void> {
    const { progress } = this.#execution;
    const { decision, listing, references } = this.#survey;
    const listed = planned.filter(({ id }) => listing.recoveryPoints.has(id));
    const dropped = listed.filter(({ id, isGivenUp }) => isGivenUp || decision.dropped.has(id));
    this.#spared += listed.length - dropped.length;
    for (const ids of inBatches(dropped.map(({ id }) => id))) {
      progress({ step: "delete", detail: `${ids.length} recovery points` });
      const locked = await this.#delete(ids.map(storeLayout.manifest));
      const remaining = ids.filter((id) => locked.has(storeLayout.manifest(id)));
      this.#deleted.recoveryPoints += ids.length - remaining.length;
      // A recovery point that stays, stays whole.
      await references.count(remaining.filter((id) => !references.unreadable.has(storeLayout.manifest(id))));
      const isGone = new Set(ids.filter((id) => !remaining.includes(id)));
      const attestations = [...isGone].flatMap((id) => listing.attestations.get(id) ?? []);
      for (const keys of inBatches(attestations.map(({ key }) => key))) {
        const kept = await this.#delete(keys);
        this.#deleted.records += keys.length - kept.size;
      }
    }
  }

  async deleteObjects(part: number, objects: readonly DroppedObject[]): Promise<void> {
    const { clock, number, progress, repository, run } = this.#execution;
    const { control } = repository.stores;
    const key = controlLayout.prunePartDone(number, part);
    if ((await readOptionalRecord(control, key, partDoneSchema)) !== undefined) return;
    const dropped = objects.filter((object) => this.#isDropped(object));
    const before = { deleted: this.#objectsDeleted(), bytes: this.#deleted.bytes, locked: this.#locked };
    this.#spared += objects.length - dropped.length;
    for (const batch of inBatches(dropped)) {
      progress({ step: "delete", detail: `${batch.length} objects` });
      const locked = await this.#delete(batch.map((object) => object.key));
      for (const object of batch) {
        if (locked.has(object.key)) continue;
        this.#deleted[whatOf(object)] += 1;
        this.#deleted.bytes += object.size;
      }
    }
    const done: PartDone = {
      run,
      at: clock.now().toISOString(),
      deleted: this.#objectsDeleted() - before.deleted,
      bytes: this.#deleted.bytes - before.bytes,
      spared: objects.length - dropped.length,
      locked: this.#locked - before.locked,
    };
    await createRecord(control, key, partDoneSchema, done);
  }

  done(): PruneDone {
    const { clock, run } = this.#execution;
    const { counts } = this.#survey.listing;
    const { bytes, facts, packs, recoveryPoints, trees } = this.#deleted;
    return {
      run,
      at: clock.now().toISOString(),
      counted: {
        recoveryPoints: counts.recoveryPoints - recoveryPoints,
        trees: counts.trees - trees,
        facts: counts.facts - facts,
        packs: counts.packs - packs,
      },
      deleted: { recoveryPoints, objects: this.#objectsDeleted(), bytes },
      spared: this.#spared,
      locked: this.#locked,
    };
  }

  /** By the new count. What is not listed any more was deleted by an earlier run, or is nobody's to delete. */
  #isDropped({ key, reason }: DroppedObject): boolean {
    const { holders, listing, states } = this.#survey;
    const parsed = parseStoreKey(key);
    if (parsed === undefined) return false;
    if (reason === "session") {
      return holders.endedSessions.has(key);
    }
    if (reason === "attestation") {
      if (parsed.kind !== "attestation") return false;
      return !listing.recoveryPoints.has(parsed.recoveryPointId) && !states.has(parsed.recoveryPointId);
    }
    if (parsed.kind === "healed") return !isHealedNeeded(listing, key);
    if (parsed.kind !== "pack" && parsed.kind !== "tree" && parsed.kind !== "facts") return false;
    const { id, kind } = parsed;
    return listing.marks.isListed(kind, id) && !listing.marks.isNeeded(kind, id);
  }

  async #delete(keys: readonly string[]): Promise<ReadonlySet<string>> {
    if (keys.length === 0) return new Set();
    await this.#execution.stayMine();
    const locked = await this.#execution.prunable.delete(keys);
    this.#locked += locked.length;
    const [first] = locked;
    if (first !== undefined) {
      this.#execution.progress({
        step: "delete",
        detail: `${locked.length} of ${keys.length} objects are kept by the store: ${first.key}: ${first.reason}`,
      });
    }
    return new Set(locked.map(({ key }) => key));
  }

  #objectsDeleted(): number {
    const { facts, packs, records, trees } = this.#deleted;
    return facts + packs + records + trees;
  }
}

function* inBatches<Item>(items: readonly Item[]): Generator<Item[]> {
  for (let start = 0; start < items.length; start += mostKeysAtOnce) yield items.slice(start, start + mostKeysAtOnce);
}
