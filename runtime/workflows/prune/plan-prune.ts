/** The first phase: a plan of what is dropped, each with its reason. Nothing is deleted. */
import {
  countedAs,
  type DroppedObject,
  type DroppedRecoveryPoint,
  droppedInPart,
  droppedObjectsSchema,
  droppedRecoveryPointsSchema,
  type ObjectReason,
  type PrunePlan,
} from "../../domain/history/prune-records.ts";
import {
  controlLayout,
  parseContentKey,
  parseStoreKey,
  storeLayout,
} from "../../domain/recovery-points/store-layout.ts";
import { prunePlans } from "../../repository/prune/prune-log.ts";
import { createRecord } from "../../repository/record.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { listContent } from "./list-repository.ts";
import type { Survey } from "./survey-repository.ts";

export interface PlannedDrops {
  readonly recoveryPoints: readonly DroppedRecoveryPoint[];
  objects(): AsyncIterable<DroppedObject>;
}

/** What a survey drops. Its objects are listed when they are asked for: there may be millions. */
export function dropsOf(
  { stores }: OpenRepository,
  { decision, holders, listing, states }: Survey,
  giveUp: readonly string[],
): PlannedDrops {
  const { attestations, marks, recoveryPoints } = listing;
  const given = giveUp.filter((id) => recoveryPoints.has(id));
  return {
    recoveryPoints: [
      ...[...decision.dropped].map(([id, reason]) => ({ id, reason })),
      ...given.map((id) => ({ id, reason: "an operator gave it up", isGivenUp: true as const })),
    ],
    async *objects() {
      const dropped = (objects: readonly { readonly key: string; readonly size: number }[], reason: ObjectReason) =>
        objects.map(({ key, size }) => ({ key, size, reason }));
      for (const [key, { size }] of holders.endedSessions) yield { key, size, reason: "session" };
      // Those of recovery points that are dropped go with them.
      for (const [id, keys] of attestations) {
        if (!recoveryPoints.has(id) && !states.has(id)) yield* dropped(keys, "attestation");
      }
      for await (const { id, key, kind, size, storedAt } of listContent(stores.repository)) {
        if (storedAt >= holders.youngSince || !marks.isListed(kind, id) || marks.isNeeded(kind, id)) continue;
        yield { key, size, reason: "unneeded" };
      }
      for await (const { key, size, storedAt } of stores.repository.list(storeLayout.healed)) {
        if (storedAt === undefined || storedAt >= holders.youngSince || isHealedNeeded(listing, key)) continue;
        yield { key, size, reason: "unneeded" };
      }
    },
  };
}

/** What stands in for a damaged object is needed as long as that would be; so is what has another name than ours. */
export function isHealedNeeded({ marks, recoveryPoints }: Survey["listing"], key: string): boolean {
  const parsed = parseStoreKey(key);
  if (parsed?.kind !== "healed") return true;
  const content = parseContentKey(parsed.key);
  if (content !== undefined) return marks.isNeeded(content.kind, content.id);
  const manifest = parseStoreKey(parsed.key);
  return manifest?.kind !== "manifest" || recoveryPoints.has(manifest.recoveryPointId);
}

export interface WrittenPlan {
  readonly number: number;
  readonly plan: PrunePlan;
}

/**
 * Writes the plan of this number, its parts first; undefined when there is nothing to drop.
 * @param refuseUnlessMine throws when another run prunes.
 */
export async function writePlan(
  repository: OpenRepository,
  survey: Survey,
  about: {
    readonly number: number;
    readonly run: string;
    readonly at: Date;
    readonly giveUp: readonly string[];
    refuseUnlessMine(): Promise<void>;
  },
): Promise<WrittenPlan | undefined> {
  const { at, giveUp, number, run } = about;
  const { control } = repository.stores;
  const drops = dropsOf(repository, survey, giveUp);
  const dropped = { recoveryPoints: drops.recoveryPoints.length, trees: 0, facts: 0, packs: 0, records: 0, bytes: 0 };
  const parts = { recoveryPoints: 0, objects: 0 };
  const nextKey = () => controlLayout.prunePart(number, run, parts.recoveryPoints + parts.objects);
  for (let start = 0; start < drops.recoveryPoints.length; start += droppedInPart) {
    const recoveryPoints = drops.recoveryPoints.slice(start, start + droppedInPart);
    await createRecord(control, nextKey(), droppedRecoveryPointsSchema, { recoveryPoints });
    parts.recoveryPoints += 1;
  }
  let objects: DroppedObject[] = [];
  const flush = async () => {
    if (objects.length === 0) return;
    await about.refuseUnlessMine();
    await createRecord(control, nextKey(), droppedObjectsSchema, { objects });
    parts.objects += 1;
    objects = [];
  };
  for await (const object of drops.objects()) {
    objects.push(object);
    dropped.bytes += object.size;
    dropped[whatOf(object)] += 1;
    if (objects.length === droppedInPart) await flush();
  }
  await flush();
  if (parts.recoveryPoints + parts.objects === 0) return undefined;
  const plan: PrunePlan = {
    format: 1,
    run,
    at: at.toISOString(),
    repository: repository.description.id,
    counted: survey.listing.counts,
    kept: [...survey.decision.kept.keys()].sort(),
    references: { trees: survey.references.trees, objects: survey.listing.marks.marked },
    dropped,
    parts,
  };
  await about.refuseUnlessMine();
  await prunePlans(control).create(control, number, plan);
  const standing = await prunePlans(control).read(number);
  return standing?.run === run ? { number, plan } : undefined;
}

export function whatOf({ key, reason }: DroppedObject): "trees" | "facts" | "packs" | "records" {
  // What stands in for an object is not counted beside it.
  const parsed = reason === "unneeded" ? parseContentKey(key) : undefined;
  return parsed === undefined ? "records" : countedAs[parsed.kind];
}
