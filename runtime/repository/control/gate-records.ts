/** Fences and openings: create-only records by which a failover closes and opens gates. */

import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import { type EpochRecord, newestEpoch } from "../../domain/roles/epoch.ts";
import {
  type FenceRecord,
  fenceRecordSchema,
  type GateKnowledge,
  type OpeningRecord,
  openingRecordSchema,
} from "../../domain/roles/gate.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import { claimRecord, readOptionalRecord } from "../record.ts";
import { epochsAfter, readEpochs } from "./epochs.ts";

/**
 * What a control store says of its newest epoch; undefined when it holds none.
 * @param since an epoch that is known: what follows it is asked for by name, at the price of three requests and no listing.
 */
export async function readGateKnowledge(
  control: ObjectStoreReader,
  since?: EpochRecord,
): Promise<GateKnowledge | undefined> {
  const later = since === undefined ? await readEpochs(control) : await epochsAfter(control, since.epoch);
  const newest = newestEpoch(later) ?? since;
  if (newest === undefined) return undefined;
  return {
    newest,
    isFenced: (await readFence(control, newest.epoch + 1)) !== undefined,
    isOpened: (await readOpening(control, newest.epoch)) !== undefined,
  };
}

/** The fence that stands afterwards: ours, or an earlier run's. */
export function writeFence(control: ObjectStore, record: FenceRecord): Promise<FenceRecord> {
  return claimRecord(control, controlLayout.fence(record.epoch), fenceRecordSchema, record);
}

export function writeOpening(control: ObjectStore, record: OpeningRecord): Promise<OpeningRecord> {
  return claimRecord(control, controlLayout.opening(record.epoch), openingRecordSchema, record);
}

export function readFence(control: ObjectStoreReader, epoch: number): Promise<FenceRecord | undefined> {
  return readOptionalRecord(control, controlLayout.fence(epoch), fenceRecordSchema);
}

export function readOpening(control: ObjectStoreReader, epoch: number): Promise<OpeningRecord | undefined> {
  return readOptionalRecord(control, controlLayout.opening(epoch), openingRecordSchema);
}
