/**
 * Puts good bytes in the place of damaged objects: fetched from the other region's repository, and looked at before they are stored. What is
 * missing is created again; what is damaged stays, for it may be locked, and the good object is stored beside it, with a record of that.
 */

import { recoveryPointSchema } from "../../domain/recovery-points/recovery-point.ts";
import { parseStoreKey, storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import type { Progress } from "../../ports/progress.ts";
import { checkObject } from "../../repository/content/check-object.ts";
import {
  copyAt,
  type HealedObject,
  healedInRecord,
  readHealed,
  recordHealed,
} from "../../repository/control/heal-records.ts";
import { getWhole } from "../../repository/record.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { type Damage, isDamage } from "../verify/find-damage.ts";

/** So many stand-ins of one object were damaged as well: something else is wrong. */
const mostCopies = 20;

export interface HealTools {
  readonly repository: OpenRepository;
  /** Its objects as they are, without those that stand in for others. */
  readonly objects: ObjectStore;
  /** The other region's; undefined where there is none. */
  readonly from: OpenRepository | undefined;
  readonly region: string;
  readonly clock: Clock;
  readonly progress: Progress;
}

export interface Healed {
  readonly healed: readonly HealedObject[];
  /** Why each of the others could not be healed, after what is wrong with it. */
  readonly unhealed: readonly Damage[];
}

export async function healObjects(tools: HealTools, damages: readonly Damage[]): Promise<Healed> {
  const { clock, from, progress, region, repository } = tools;
  const before = await readHealed(repository.stores.control);
  const healed: HealedObject[] = [];
  const unhealed: Damage[] = [];
  let unrecorded: HealedObject[] = [];
  const record = async () => {
    if (unrecorded.length > 0) {
      await recordHealed(repository.stores.control, { at: clock.now(), region, objects: unrecorded });
    }
    unrecorded = [];
  };
  for (const { because, key } of damages) {
    const found = from === undefined ? "no other region was asked" : await goodBytes(repository, from, key);
    if (typeof found === "string") {
      unhealed.push({ key, because: `${because}; ${found}` });
      continue;
    }
    const place = await store(tools, key, found, copyAt(before.get(key)?.place ?? key));
    progress({ step: "heal", detail: place === key ? `${key} is there again` : `${place} stands in for ${key}` });
    const object = { key, place, size: found.length };
    healed.push(object);
    unrecorded.push(object);
    if (unrecorded.length >= healedInRecord) await record();
  }
  await record();
  return { healed, unhealed };
}

/** The bytes as they belong into `repository`, or why there are none. */
async function goodBytes(repository: OpenRepository, from: OpenRepository, key: string): Promise<Buffer | string> {
  try {
    const bytes = await bytesFrom(repository, from, key);
    await checkObject(repository, key, bytes);
    return bytes;
  } catch (error) {
    if (!isDamage(error)) throw error;
    return error.code === "OBJECT_NOT_FOUND"
      ? "the other region does not have it"
      : "the other region's is damaged too";
  }
}

async function bytesFrom(repository: OpenRepository, from: OpenRepository, key: string): Promise<Buffer> {
  const parsed = parseStoreKey(key);
  if (parsed?.kind !== "manifest") return getWhole(from.stores.repository, key);
  if (repository.description.id === from.description.id) {
    const bytes = await getWhole(from.stores.repository, key);
    if (await isGood(repository, key, async () => bytes)) return bytes;
  }
  // Manifests are sealed for one repository, with a key that is known there.
  return repository.sealRecord(key, recoveryPointSchema, await from.readRecoveryPoint(parsed.recoveryPointId));
}

/**
 * Where the bytes are afterwards: create-only, and looked at there.
 * @param first the last that stood in for it: of several the highest is read.
 */
async function store({ objects, repository }: HealTools, key: string, bytes: Buffer, first: number): Promise<string> {
  for (let copy = first; copy <= first + mostCopies; copy += 1) {
    const place = copy === 0 ? key : storeLayout.healedObject(key, copy);
    await repository.stores.repository.create(place, bytes, undefined, repository.longestLock);
    if (await isGood(repository, key, () => getWhole(objects, place))) return place;
  }
  throw new DrError("STORE_REFUSED", `none of ${mostCopies} objects that stand in for ${key} can be read back`, {
    hint: "the store loses what it takes: see `qdrant-dr doctor --store`",
  });
}

async function isGood(repository: OpenRepository, key: string, read: () => Promise<Buffer>): Promise<boolean> {
  try {
    await checkObject(repository, key, await read());
    return true;
  } catch (error) {
    if (isDamage(error)) return false;
    throw error;
  }
}
