/**
 * The shards that test restores give to a Qdrant process. The process counts them with all others that it was given to restore, by which
 * captures know that its versions are another server's: what is noted here went into collections of nobody, and does not count.
 */
import { newId, timeOfId } from "../../domain/identifier.ts";
import { controlLayout, parseControlKey } from "../../domain/recovery-points/store-layout.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import { believedAmong, keysUnder } from "../record.ts";

/** An upload that has not ended by then was killed. */
const endsWithinMs = 60 * 60_000;

export interface ScratchUpload {
  /** "taken": the process said that it took the shard; "unknown": it may have counted it, or not. */
  end(outcome: "taken" | "unknown"): Promise<void>;
}

/** @param process the start of the process that is given a shard. */
export async function beginScratchUpload(control: ObjectStore, process: string, now: Date): Promise<ScratchUpload> {
  const id = newId(now);
  const note = async (phase: "begun" | "taken" | "unknown") => {
    await control.create(controlLayout.scratchUpload(process, id, phase), Buffer.from("{}"));
  };
  await note("begun");
  return { end: note };
}

export interface ScratchUploads {
  readonly taken: number;
  /** They may have been counted just now. */
  readonly underWay: number;
}

export async function readScratchUploads(
  control: ObjectStoreReader,
  process: string,
  now: Date,
): Promise<ScratchUploads> {
  const keys = await keysUnder(control, controlLayout.scratchUploadsOf(process));
  const found = (await believedAmong(control, keys)).flatMap((key) => {
    const parsed = parseControlKey(key);
    return parsed?.kind === "scratch-upload" ? [parsed] : [];
  });
  const ended = new Set(found.filter(({ phase }) => phase !== "begun").map(({ id }) => id));
  const isYoung = (id: string) => now.getTime() - (timeOfId(id)?.getTime() ?? 0) < endsWithinMs;
  return {
    taken: found.filter(({ phase }) => phase === "taken").length,
    underWay: found.filter(({ id, phase }) => phase === "begun" && !ended.has(id) && isYoung(id)).length,
  };
}
