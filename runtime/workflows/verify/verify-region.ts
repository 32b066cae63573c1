/** What a run of `verify` does: reads recovery points, and its share of everything else; and heals what it finds, where it is told to. */

import { standingQuarantines } from "../../domain/recovery-points/quarantine.ts";
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { type Coverage, coverageOf, withDamage } from "../../domain/recovery-points/rotation.ts";
import { DrError, hasCode } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Progress } from "../../ports/progress.ts";
import { readFindings } from "../../repository/catalog/findings.ts";
import { readCatalog } from "../../repository/catalog/read-catalog.ts";
import { recordRotation, rotationToGoOn } from "../../repository/control/verification-records.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { findRecoveryPointsOfAllKinds } from "../find-recovery-point.ts";
import { type HealReport, type HealRequest, heal } from "../heal/heal.ts";
import { type Damage, distinct, isDamage, manifestsGone, NamedObjects } from "./find-damage.ts";
import { quarantineNaming } from "./quarantine-naming.ts";
import { readShare, type ShareReport } from "./read-share.ts";
import { type VerifyAllReport, verifyRecoveryPoints } from "./verify-recovery-point.ts";

/** How deep recovery points are looked at: what they name is there, or every byte of it is right. */
export type ReadTier = "manifest" | "chunks";

export interface VerifyRequest {
  open(): Promise<OpenRepository>;
  readonly tier: ReadTier;
  /** Left out: the newest of each kind, and the share of all others that is due. */
  readonly recoveryPoint?: string | undefined;
  /** Where damaged objects are healed from, and to. */
  readonly heal?: Pick<HealRequest, "from" | "objects"> | undefined;
  readonly region: string;
  readonly clock: Clock;
  readonly progress: Progress;
}

export interface VerifyRegionReport {
  readonly found: readonly RecoveryPoint[];
  /** Absent with the tier `manifest`. */
  readonly read?: VerifyAllReport | undefined;
  readonly share?: (Pick<ShareReport, "bytes" | "objects" | "recoveryPoints"> & Coverage) | undefined;
  readonly healed?: HealReport | undefined;
}

/** Throws what it found damaged when all was read, unless it was healed. */
export async function verifyRegion(request: VerifyRequest): Promise<VerifyRegionReport> {
  const { clock, recoveryPoint, region } = request;
  const begunAt = clock.now();
  const repository = await request.open();
  const first = await attempt(() => verifyNewest(request, repository));
  const isOfAll = recoveryPoint === undefined;
  const share = isOfAll ? await readShare({ ...request, repository }) : undefined;
  const newest = isOfAll ? await damagesOfNewest(repository, begunAt, "error" in first) : [];
  const damaged = distinct([...newest, ...(share?.damaged ?? [])]);
  const isDamaged = damaged.length > 0 || "error" in first;
  if (isDamaged && request.heal !== undefined) {
    const { healed, verified } = await healAndVerify(request, request.heal);
    return { ...verified, share: share && told(share, healed, clock.now()), healed };
  }
  await quarantineNaming(repository, damaged, { at: clock.now(), region });
  if ("error" in first) {
    await countQuarantined(repository, begunAt, clock.now());
    // That nothing is complete says less than what is not.
    if (!isDamage(first.error)) refuseUnhealed(damaged);
    throw first.error;
  }
  refuseUnhealed(damaged);
  return { ...first.value, share: share && told(share, undefined, clock.now()) };
}

/** Those that are older have had their turn. */
const mostNewest = 20;

/**
 * What those lack that are newer than the newest complete one, which is read instead of them: their turn would come within weeks.
 * @param isLost nothing can be restored: then manifests count, too, that are gone, or cannot be read. Where others can be restored anybody may have
 * put these there.
 */
async function damagesOfNewest(repository: OpenRepository, now: Date, isLost: boolean): Promise<readonly Damage[]> {
  const { entries } = await readCatalog(repository, { most: mostNewest });
  const named = new NamedObjects(repository);
  const damages: Damage[] = [];
  for (const { id, state } of entries.toReversed()) {
    if (state === "complete") break;
    if (state === "incomplete" || (isLost && state === "unreadable")) damages.push(...(await named.damagesOf(id)));
  }
  return distinct([...damages, ...(isLost ? await manifestsGone(repository, now) : [])]);
}

/** What was missing may have hidden what is damaged. */
const mostHealings = 3;

async function healAndVerify(request: VerifyRequest, tools: NonNullable<VerifyRequest["heal"]>) {
  let healed: HealReport = { healed: [], unhealed: [], released: [], quarantined: [] };
  for (let turn = 1; ; turn += 1) {
    const now = await heal({ ...request, ...tools, readsAll: false });
    refuseUnhealed(now.unhealed);
    healed = { ...now, healed: [...healed.healed, ...now.healed], released: [...healed.released, ...now.released] };
    const verified = await attempt(async () => verifyNewest(request, await request.open()));
    if (!("error" in verified)) return { healed, verified: verified.value };
    if (turn === mostHealings || now.healed.length === 0) throw verified.error;
  }
}

/** What is wrong with the recovery points waits until the rest is read. */
async function attempt<T>(act: () => Promise<T>): Promise<{ readonly value: T } | { readonly error: DrError }> {
  try {
    return { value: await act() };
  } catch (error) {
    if (isDamage(error) || hasCode(error, "RECOVERY_POINT_INCOMPLETE", "RECOVERY_POINT_NOT_FOUND")) return { error };
    throw error;
  }
}

async function verifyNewest(
  { clock, progress, recoveryPoint = "latest", region, tier }: VerifyRequest,
  repository: OpenRepository,
): Promise<Pick<VerifyRegionReport, "found" | "read">> {
  const found = await findRecoveryPointsOfAllKinds(repository, recoveryPoint);
  if (tier === "chunks")
    return { found, read: await verifyRecoveryPoints(repository, found, { clock, progress, region }) };
  const named = new NamedObjects(repository);
  const damages: Damage[] = [];
  for (const { id } of found) damages.push(...(await named.damagesOf(id)));
  await quarantineNaming(repository, damages, { at: clock.now(), region });
  refuseUnhealed(damages);
  return { found };
}

/** What was found damaged before its share is read counts at once: the alert must not wait for weeks. */
async function countQuarantined(repository: OpenRepository, since: Date, now: Date): Promise<void> {
  const { attestations } = await readFindings(repository.stores.repository);
  const standing = [...attestations.values()]
    .flatMap((each) => standingQuarantines(each))
    .filter(({ at }) => Date.parse(at) >= since.getTime());
  const { control } = repository.stores;
  const { number, rotation } = await rotationToGoOn(control, repository.description.id, now);
  const known = new Set(rotation.damaged.map(({ key }) => key));
  const found = standing.flatMap(({ damaged = [], detail: because }) => damaged.map((key) => ({ key, because })));
  const added = distinct(found).filter(({ key }) => !known.has(key));
  if (added.length > 0) await recordRotation(control, { number, rotation: withDamage(rotation, added, now) });
}

function refuseUnhealed(damages: readonly Damage[]): void {
  const error = damageOf(damages);
  if (error !== undefined) throw error;
}

/** The error that says what is damaged; undefined when nothing is. */
export function damageOf(damages: readonly Damage[]): DrError | undefined {
  const [first] = damages;
  if (first === undefined) return undefined;
  const more = damages.length === 1 ? "" : `, and ${damages.length - 1} more objects are damaged`;
  return new DrError("OBJECT_CORRUPT", `${first.key}: ${first.because}${more}`, {
    hint: "`qdrant-dr heal` fetches what is damaged from the other region; what it cannot heal, a full capture stores again for the recovery points to come",
  });
}

function told(
  { bytes, objects, recoveryPoints, rotation }: ShareReport,
  healed: HealReport | undefined,
  now: Date,
): NonNullable<VerifyRegionReport["share"]> {
  const coverage = coverageOf(rotation.rotation, now);
  const damaged = healed === undefined ? coverage.damaged : healed.unhealed.length;
  return { bytes, objects, recoveryPoints, ...coverage, damaged };
}
