/**
 * Recovery points as a bucket lists them, the newest first, a stretch of time after another: who needs the newest does not wait for a
 * list of all. The day in a key is that of the id, and a bucket whose clock contradicts it counts: such a one waits for its place.
 */
import { compareAge, type ListedRecoveryPoint, placeInTime } from "../../domain/recovery-points/order.ts";
import type { Attestation } from "../../domain/recovery-points/recovery-point.ts";
import { parseStoreKey, storeLayout } from "../../domain/recovery-points/store-layout.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import { type AttestationKey, attestationKeyOf } from "./attestations.ts";

export interface RecoveryPointInBucket extends ListedRecoveryPoint {
  /** Keys of what was found of it later. */
  readonly attestations: readonly AttestationKey[];
}

/** Whether it has an attestation of this kind by the keys alone: what that says has to be read. */
export function hasAttestation({ attestations }: RecoveryPointInBucket, finding: Attestation["kind"]): boolean {
  return attestations.some((key) => key.finding === finding);
}

/** Objects of a day that are listed at once: a page. A day with more is gone through by its hours. */
const listedAtOnce = 1_000;
const hourMs = 3_600_000;

interface Stretch {
  readonly prefix: string;
  /** Nothing in it is placed at this time or later. */
  readonly endMs: number;
  /** Prefixes of its hours, where it is a day. */
  readonly hours?: readonly Stretch[];
}

export interface ListingBounds {
  /** How many days, or hours of full days, are listed at most; all when left out. */
  readonly mostStretches?: number;
  /** Hears the ids of each stretch before any of them comes. */
  onListed?(ids: readonly string[]): void;
}

export async function* listNewestFirst(
  store: ObjectStoreReader,
  { mostStretches = Number.POSITIVE_INFINITY, onListed }: ListingBounds = {},
): AsyncGenerator<RecoveryPointInBucket> {
  const ahead = await stretchesOf(store);
  const waiting: RecoveryPointInBucket[] = [];
  for (let listed = 0; listed < mostStretches; ) {
    const next = ahead.shift();
    if (next === undefined) break;
    yield* takeNewest(waiting, next.endMs);
    const found = await listStretch(store, next);
    listed += 1;
    if (found === undefined) ahead.unshift(...(next.hours ?? []));
    else {
      waiting.push(...found);
      onListed?.(found.map(({ id }) => id));
    }
  }
  yield* takeNewest(waiting, ahead[0]?.endMs ?? Number.NEGATIVE_INFINITY);
}

/** The recovery point of this id; undefined when it is not listed. */
export async function listOne(store: ObjectStoreReader, id: string): Promise<RecoveryPointInBucket | undefined> {
  const found = await collect(store, storeLayout.recoveryPoint(id), Number.POSITIVE_INFINITY);
  return found?.find((each) => each.id === id);
}

/** So many of the newest days are listed, however long ago they were. */
const daysAlways = 10;

/**
 * The recovery points whose ids are of this time or later, of whole months: a page for each thousand objects. What tells no time, and the
 * newest of a schedule that ended before, come with them.
 */
export async function listFrom(store: ObjectStoreReader, fromMs: number): Promise<RecoveryPointInBucket[]> {
  const stretches = await stretchesOf(store);
  const wanted = stretches.filter(
    ({ endMs, hours }, index) => hours === undefined || endMs > fromMs || index < daysAlways,
  );
  const prefixes = new Set(
    wanted.map(({ endMs, hours, prefix }) =>
      hours === undefined ? prefix : storeLayout.recoveryPointsOfMonth(new Date(endMs - 24 * hourMs)),
    ),
  );
  const found: RecoveryPointInBucket[] = [];
  for (const prefix of prefixes) found.push(...((await collect(store, prefix, Number.POSITIVE_INFINITY)) ?? []));
  return found;
}

/** Those that are placed at this time or later, the newest first; they wait no longer. */
function* takeNewest(waiting: RecoveryPointInBucket[], fromMs: number): Generator<RecoveryPointInBucket> {
  waiting.sort((a, b) => compareAge(b, a));
  const end = waiting.findIndex((each) => placeInTime(each) < fromMs);
  yield* waiting.splice(0, end < 0 ? waiting.length : end);
}

/** The newest day first. */
async function stretchesOf(store: ObjectStoreReader): Promise<Stretch[]> {
  const days: string[] = [];
  for await (const day of store.folders(storeLayout.recoveryPoints)) days.push(day);
  return days
    .sort((a, b) => (a < b ? 1 : -1))
    .map((day) => {
      const prefix = storeLayout.recoveryPointsOfDay(day);
      const startMs = Date.parse(`${day}T00:00:00.000Z`);
      // What is no day holds ids that tell no time: they come last.
      if (Number.isNaN(startMs)) return { prefix, endMs: Number.NEGATIVE_INFINITY };
      const hours = Array.from({ length: 24 }, (_, hour) => ({
        prefix: storeLayout.recoveryPointsOfHour(day, hour),
        endMs: startMs + (hour + 1) * hourMs,
      }));
      return { prefix, endMs: startMs + 24 * hourMs, hours: hours.reverse() };
    });
}

async function listStretch(
  store: ObjectStoreReader,
  { hours, prefix }: Stretch,
): Promise<RecoveryPointInBucket[] | undefined> {
  return collect(store, prefix, hours === undefined ? Number.POSITIVE_INFINITY : listedAtOnce);
}

/** Undefined when there is more than that. */
async function collect(
  store: ObjectStoreReader,
  prefix: string,
  most: number,
): Promise<RecoveryPointInBucket[] | undefined> {
  const manifests = new Map<string, Date | undefined>();
  const attestations = new Map<string, AttestationKey[]>();
  let objects = 0;
  for await (const object of store.list(prefix)) {
    objects += 1;
    if (objects > most) return undefined;
    const parsed = parseStoreKey(object.key);
    if (parsed?.kind === "manifest") manifests.set(parsed.recoveryPointId, object.storedAt);
    const finding = attestationKeyOf(object);
    if (finding === undefined) continue;
    const known = attestations.get(finding.recoveryPointId);
    if (known === undefined) attestations.set(finding.recoveryPointId, [finding]);
    else known.push(finding);
  }
  return [...manifests].map(([id, storedAt]) => ({ id, storedAt, attestations: attestations.get(id) ?? [] }));
}
