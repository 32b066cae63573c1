/** Finds what of a repository is damaged or missing, heals it from the other region's, and says what became of the recovery points. */
import { standingQuarantines } from "../../domain/recovery-points/quarantine.ts";
import { slotOf } from "../../domain/recovery-points/rotation.ts";
import { parseStoreKey, storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { attest } from "../../repository/catalog/attest.ts";
import { readFindings } from "../../repository/catalog/findings.ts";
import type { HealedObject } from "../../repository/control/heal-records.ts";
import { recordRotation, rotationToGoOn } from "../../repository/control/verification-records.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import {
  type Damage,
  distinct,
  isDamage,
  manifestsGone,
  NamedObjects,
  readWhole,
  recheck,
} from "../verify/find-damage.ts";
import { quarantineNaming } from "../verify/quarantine-naming.ts";
import { verifyRecoveryPoint } from "../verify/verify-recovery-point.ts";
import { type HealTools, healObjects } from "./heal-objects.ts";

/** A manifest that is healed may name missing trees, and these missing packs. */
const mostRounds = 4;

export interface HealRequest extends Omit<HealTools, "repository"> {
  /** Opens the repository as it is by now. */
  open(): Promise<OpenRepository>;
  /** Every byte of the repository is read first. */
  readsAll: boolean;
}

export interface HealReport {
  readonly healed: readonly HealedObject[];
  readonly unhealed: readonly Damage[];
  /** Recovery points that were quarantined for what is healed now, read whole since. */
  readonly released: readonly string[];
  /** Recovery points that cannot be restored because of what could not be healed. */
  readonly quarantined: readonly string[];
}

export async function heal(request: HealRequest): Promise<HealReport> {
  const healed: HealedObject[] = [];
  const unhealed = new Map<string, Damage>();
  let repository = await request.open();
  let damages = await findDamages(request, repository);
  for (let round = 0; damages.length > 0 && round < mostRounds; round += 1) {
    const outcome = await healObjects({ ...request, repository }, damages);
    healed.push(...outcome.healed);
    for (const damage of outcome.unhealed) unhealed.set(damage.key, damage);
    if (outcome.healed.length === 0) break;
    repository = await request.open();
    damages = (await namedDamages(repository)).filter(({ key }) => !unhealed.has(key));
  }
  for (const { key } of healed) unhealed.delete(key);
  const left = [...unhealed.values()];
  await recordUnhealed(request, repository, left);
  const released = await releaseHealed(request, repository, new Set(unhealed.keys()));
  const quarantined = await quarantineNaming(repository, left, { at: request.clock.now(), region: request.region });
  return { healed, unhealed: left, released, quarantined };
}

async function findDamages({ clock, progress, readsAll }: HealRequest, repository: OpenRepository): Promise<Damage[]> {
  const { rotation } = await rotationToGoOn(repository.stores.control, repository.description.id, clock.now());
  progress({ step: "heal", detail: "looks for what is damaged" });
  const { attestations } = await readFindings(repository.stores.repository);
  const quarantines = [...attestations.values()].flatMap(standingQuarantines);
  const told = [...rotation.damaged.map(({ key }) => key), ...quarantines.flatMap(({ damaged = [] }) => damaged)];
  const known = await recheck(repository, new Set(told));
  const orphans = await manifestsGone(repository, clock.now());
  const named = await namedDamages(repository);
  const read = readsAll ? await readAllContent(repository) : [];
  return distinct([...known, ...orphans, ...named, ...read]);
}

/** What recovery points name that is missing, or of another size. */
async function namedDamages(repository: OpenRepository): Promise<Damage[]> {
  const named = new NamedObjects(repository);
  const damages: Damage[] = [];
  const { recoveryPoints } = await readFindings(repository.stores.repository);
  for (const id of recoveryPoints) damages.push(...(await named.damagesOf(id)));
  return distinct(damages);
}

async function readAllContent(repository: OpenRepository): Promise<readonly Damage[]> {
  const damages: Damage[] = [];
  for (const folder of [storeLayout.packs, storeLayout.trees, storeLayout.facts]) {
    for await (const object of repository.stores.repository.list(folder)) {
      if (parseStoreKey(object.key) !== undefined) damages.push(...(await readWhole(repository, [object])).damaged);
    }
  }
  return damages;
}

/** What `verify` counts as damaged from now on. */
async function recordUnhealed(
  { clock }: HealRequest,
  repository: OpenRepository,
  left: readonly Damage[],
): Promise<void> {
  const { control } = repository.stores;
  const now = clock.now();
  const { number, rotation } = await rotationToGoOn(control, repository.description.id, now);
  if (rotation.damaged.length === 0 && left.length === 0) return;
  const damaged = left.map(({ because, key }) => ({ key, because, slot: slotOf(key) }));
  await recordRotation(control, { number, rotation: { ...rotation, at: now.toISOString(), damaged } });
}

/** Reads recovery points whole that were quarantined for damage only; those that are whole are restored from again. */
async function releaseHealed(
  { clock, progress, region }: HealRequest,
  repository: OpenRepository,
  unhealed: ReadonlySet<string>,
): Promise<readonly string[]> {
  const released: string[] = [];
  const { attestations, recoveryPoints } = await readFindings(repository.stores.repository);
  for (const id of recoveryPoints) {
    const standing = standingQuarantines(attestations.get(id) ?? []);
    if (standing.length === 0 || standing.some(({ damaged }) => damaged === undefined)) continue;
    if (standing.some(({ damaged = [] }) => damaged.some((key) => unhealed.has(key)))) continue;
    try {
      const recoveryPoint = await repository.readRecoveryPoint(id);
      await verifyRecoveryPoint(repository, recoveryPoint, { clock, progress, region });
      const detail = "what was damaged was replaced, and all of it was read since";
      await attest(repository, "healed", recoveryPoint, { at: clock.now(), region, detail });
      released.push(id);
    } catch (error) {
      // It stays quarantined.
      if (!isDamage(error)) throw error;
    }
  }
  return released;
}
