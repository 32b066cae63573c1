/** What each scheduled `verify` reads of the repository, so that every byte of it is read within 30 days, and each pack once. */
import { digitsOf, dueSlots, slotOf, withReading } from "../../domain/recovery-points/rotation.ts";
import { parseStoreKey, storeLayout } from "../../domain/recovery-points/store-layout.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Progress } from "../../ports/progress.ts";
import {
  type NumberedRotation,
  recordRecoveryPoints,
  recordRotation,
  recoveryPointsThen,
  rotationToGoOn,
} from "../../repository/control/verification-records.ts";
import { droppedSince } from "../../repository/prune/dropped-since.ts";
import { objectsUnder } from "../../repository/record.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { type Damage, distinct, NamedObjects, readWhole, sizeOf } from "./find-damage.ts";

/** What a run that is killed reads again: at most this, or what it has read in some minutes. */
const slotsInRecord = 16;
const recordAfterMs = 5 * 60_000;

export interface ShareRequest {
  readonly repository: OpenRepository;
  readonly clock: Clock;
  readonly progress: Progress;
}

export interface ShareReport {
  readonly objects: number;
  readonly bytes: number;
  readonly recoveryPoints: number;
  /** What was found in what was read now. */
  readonly damaged: readonly Damage[];
  /** How far all of it is read. */
  readonly rotation: NumberedRotation;
}

export async function readShare({ clock, progress, repository }: ShareRequest): Promise<ShareReport> {
  const { control } = repository.stores;
  let known = await rotationToGoOn(control, repository.description.id, clock.now());
  const due = dueSlots(known.rotation, clock.now());
  const sum = { objects: 0, bytes: 0, recoveryPoints: 0 };
  const damaged: Damage[] = [];
  if (due.length > 0) {
    const reader = await SlotReader.open(repository);
    let unrecorded = 0;
    let recordedAt = clock.monotonic();
    for (const [done, slot] of due.entries()) {
      progress({ step: "verify", detail: `share ${done + 1} of ${due.length}` });
      const readAt = Math.floor(clock.now().getTime() / 1000);
      const read = await reader.read(slot, known.rotation.slots[slot]?.[0]);
      await recordRecoveryPoints(control, slot, readAt, read.expected);
      known = { ...known, rotation: withReading(known.rotation, { ...read, readAt, slot }, clock.now()) };
      sum.objects += read.objects;
      sum.bytes += read.bytes;
      sum.recoveryPoints += read.recoveryPoints.length;
      damaged.push(...read.damaged);
      unrecorded += 1;
      if (unrecorded < slotsInRecord && clock.monotonic() - recordedAt < recordAfterMs && done + 1 < due.length)
        continue;
      known = await recordRotation(control, known);
      [unrecorded, recordedAt] = [0, clock.monotonic()];
    }
  }
  return { ...sum, damaged: distinct(damaged), rotation: known };
}

class SlotReader {
  readonly #repository: OpenRepository;
  readonly #named: NamedObjects;
  readonly #recoveryPoints: ReadonlyMap<number, readonly string[]>;
  /** Ids that prunes have dropped, and since when that was asked. */
  #dropped: { readonly since: number; readonly ids: ReadonlySet<string> } | undefined;

  private constructor(repository: OpenRepository, recoveryPoints: ReadonlyMap<number, readonly string[]>) {
    this.#repository = repository;
    this.#named = new NamedObjects(repository);
    this.#recoveryPoints = recoveryPoints;
  }

  static async open(repository: OpenRepository): Promise<SlotReader> {
    const ids: string[] = [];
    for await (const { key } of repository.stores.repository.list(storeLayout.recoveryPoints)) {
      const parsed = parseStoreKey(key);
      if (parsed?.kind === "manifest") ids.push(parsed.recoveryPointId);
    }
    return new SlotReader(
      repository,
      Map.groupBy(ids, (id) => slotOf(storeLayout.manifest(id))),
    );
  }

  /** @param readBefore when it was read last, in seconds since 1970. */
  async read(slot: number, readBefore: number | undefined) {
    const store = this.#repository.stores.repository;
    const recoveryPoints = this.#recoveryPoints.get(slot) ?? [];
    // By what names them first: a pack that is gone is in no listing.
    const named: Damage[] = [];
    const gone: string[] = [];
    for (const id of recoveryPoints) {
      const found = await this.#named.damagesOf(id);
      // A prune deletes the manifest first.
      if (found.length > 0 && (await sizeOf(store, storeLayout.manifest(id))) === undefined) gone.push(id);
      else named.push(...found);
    }
    const there = recoveryPoints.filter((id) => !gone.includes(id));
    const listed = [];
    for (const folder of [storeLayout.packs, storeLayout.trees, storeLayout.facts]) {
      listed.push(...(await objectsUnder(store, `${folder}${digitsOf(slot)}/`)));
    }
    const objects = listed.filter(({ key }) => parseStoreKey(key) !== undefined);
    const { bytes, damaged } = await readWhole(this.#repository, objects);
    const vanished = readBefore === undefined ? [] : await this.#vanished(slot, readBefore, there);
    const missing = vanished.map((id) => ({
      key: storeLayout.manifest(id),
      because: "it was there, and no prune has dropped it",
    }));
    return {
      objects: objects.length + there.length,
      bytes,
      recoveryPoints: there,
      /** What the next reading looks for. */
      expected: [...there, ...vanished],
      damaged: distinct([...damaged, ...named, ...missing]),
    };
  }

  /** Recovery points that were there when the slot was read last, and that no prune has dropped. */
  async #vanished(slot: number, readBefore: number, there: readonly string[]): Promise<readonly string[]> {
    const then = await recoveryPointsThen(this.#repository.stores.control, slot, readBefore);
    const gone = then.filter((id) => !there.includes(id));
    if (gone.length === 0) return [];
    const dropped = await this.#droppedSince(readBefore);
    return gone.filter((id) => !dropped.has(id));
  }

  async #droppedSince(since: number): Promise<ReadonlySet<string>> {
    if (this.#dropped === undefined || this.#dropped.since > since) {
      const ids = await droppedSince(this.#repository.stores.control, new Date(since * 1000));
      this.#dropped = { since, ids };
    }
    return this.#dropped.ids;
  }
}
