/** Locks a recovery point with all that it needs, and reads the locks back. What is locked for long enough costs a question, and no more. */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import type { LockEnd } from "../../domain/history/lock-end.ts";
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { DrError, hasCode } from "../../errors.ts";
import type { ObjectLocks, ObjectStore } from "../../ports/object-store.ts";
import { objectsNeeded, type TreeReader } from "./objects-needed.ts";

const askedAtOnce = 16;

type End = Pick<LockEnd, "extended" | "needed">;

interface LockedRepository extends TreeReader {
  readonly stores: { readonly repository: ObjectStore };
}

/**
 * Locks what the recovery point needs, before its manifest is.
 * @param before what it was compared with: of what is locked for long enough with one of them is not asked.
 * @returns how long its manifest is locked: a manifest is never locked for longer than what it needs, so that its lock tells of all.
 * Undefined where the store keeps no locks.
 */
export async function lockNeeded(
  repository: LockedRepository,
  recoveryPoint: RecoveryPoint,
  end: LockEnd,
  before: readonly RecoveryPoint[] = [],
): Promise<End | undefined> {
  const locks = await repository.stores.repository.locks?.();
  if (locks === undefined) return undefined;
  const keys = (await objectsNeeded(repository, recoveryPoint)).add(storeLayout.repository);
  let extended = end.extended;
  // A recovery point that is kept for longer is looked at whole: nobody's word about a manifest decides then.
  for (const each of end.isShortest ? before : []) {
    const lockedUntil = await locks.lockedUntil(storeLayout.manifest(each.id));
    if (lockedUntil === undefined || lockedUntil < end.needed) continue;
    for (const key of (await objectsNeeded(repository, each)).add(storeLayout.repository)) keys.delete(key);
    extended = earlier(extended, lockedUntil);
  }
  await forEachConcurrently(askedAtOnce, keys.values(), async (key) => {
    extended = earlier(extended, await lockObject(locks, key, end));
  });
  return { needed: end.needed, extended };
}

function earlier(one: Date, other: Date): Date {
  return one < other ? one : other;
}

/**
 * Throws STORE_REFUSED when the store does not say afterwards that the object is locked for so long.
 * @returns until when it is locked.
 */
export async function lockObject(locks: ObjectLocks, key: string, { extended, needed }: End): Promise<Date> {
  const before = await locks.lockedUntil(key);
  if (before !== undefined && before >= needed) return before;
  let refusal: unknown;
  try {
    await locks.extend(key, extended);
  } catch (error) {
    // Another may have locked it for longer meanwhile: no lock becomes shorter.
    if (!hasCode(error, "ACCESS_DENIED")) throw error;
    refusal = error;
  }
  const after = await locks.lockedUntil(key);
  if (after !== undefined && after >= needed) return after;
  throw new DrError("STORE_REFUSED", `${key} is not locked until ${needed.toISOString()}: ${found(after)}`, {
    hint: "these credentials must be allowed to read and to extend locks (s3:GetObjectRetention, s3:PutObjectRetention) for as long as retention keeps recovery points; nothing was committed",
    cause: refusal,
  });
}

function found(lockedUntil: Date | undefined): string {
  return lockedUntil === undefined
    ? "the store tells of no lock"
    : `the store says that it is until ${lockedUntil.toISOString()}`;
}
