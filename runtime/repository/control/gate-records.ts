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
import { hasCode } from "../../errors.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports.ts";
import { parseRecord } from "../parse-record.ts";
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
export async function writeFence(control: ObjectStore, record: FenceRecord): Promise<FenceRecord> {
  const key = controlLayout.fence(record.epoch);
  await control.create(key, Buffer.from(JSON.stringify(record)));
  return parseRecord(fenceRecordSchema, key, await control.get(key));
}

export async function writeOpening(control: ObjectStore, record: OpeningRecord): Promise<OpeningRecord> {
  const key = controlLayout.opening(record.epoch);
  await control.create(key, Buffer.from(JSON.stringify(record)));
  return parseRecord(openingRecordSchema, key, await control.get(key));
}

export function readFence(control: ObjectStoreReader, epoch: number): Promise<FenceRecord | undefined> {
  const key = controlLayout.fence(epoch);
  return unlessMissing(async () => parseRecord(fenceRecordSchema, key, await control.get(key)));
}

export function readOpening(control: ObjectStoreReader, epoch: number): Promise<OpeningRecord | undefined> {
  const key = controlLayout.opening(epoch);
  return unlessMissing(async () => parseRecord(openingRecordSchema, key, await control.get(key)));
}

async function unlessMissing<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (hasCode(error, "OBJECT_NOT_FOUND")) return undefined;
    throw error;
  }
}
