/** Scratch collections in a Qdrant: what test restores and imports make beside live collections, and remove again. */
import type { Clock } from "../ports/clock.ts";
import type { ObjectStore } from "../ports/object-store.ts";
import type { Progress } from "../ports/progress.ts";
import type { VectorDatabase } from "../ports/qdrant.ts";
import type { Runner } from "../ports/runner.ts";
import { readRestores } from "../repository/control/restore-records.ts";
import { beginScratchUpload } from "../repository/control/scratch-uploads.ts";
import { unreadableReporter } from "./name-unreadable.ts";

/** What the records call the region's own Qdrant then: it is no restore that captures wait for. */
export const besideLive = "test restore";
/** Whoever has not ended by then was killed on a machine that cannot be asked. */
const longestRunMs = 24 * 60 * 60_000;

/**
 * The same database, which notes every shard that it takes, so that captures know that nothing of theirs was restored.
 */
export function notingUploads(target: VectorDatabase, control: ObjectStore, clock: Clock): VectorDatabase {
  const restoreShard: VectorDatabase["restoreShard"] = async (collection, replica, ...content) => {
    const upload = await beginScratchUpload(control, await target.processStart(replica), clock.now());
    try {
      await target.restoreShard(collection, replica, ...content);
    } catch (error) {
      await upload.end("unknown");
      throw error;
    }
    await upload.end("taken");
  };
  return new Proxy(target, {
    get(database, method) {
      if (method === "restoreShard") return restoreShard;
      const value: unknown = Reflect.get(database, method);
      return typeof value === "function" ? value.bind(database) : value;
    },
  });
}

export interface ScratchTarget {
  readonly target: VectorDatabase;
  /** Absent for the region's own Qdrant. */
  readonly targetName?: string | undefined;
  readonly control: ObjectStore;
  readonly runner: Runner;
  readonly clock: Clock;
  readonly progress: Progress;
}

/** Removes those that killed runs of this region left. Those of others, and of a run that goes on, stay. */
export async function removeLeftovers({
  clock,
  control,
  progress,
  runner,
  target,
  targetName,
}: ScratchTarget): Promise<readonly string[]> {
  const present = await target.scratchCollections();
  if (present.length === 0) return [];
  const { begun } = await readRestores(control, targetName ?? besideLive, unreadableReporter(progress));
  const mayBeInUse = ({ at, runner: mark }: (typeof begun)[number]) =>
    mark !== undefined &&
    mark !== runner.mark &&
    !runner.isDead(mark) &&
    clock.now().getTime() - Date.parse(at) < longestRunMs;
  const ours = new Set(begun.filter((record) => !mayBeInUse(record)).flatMap(({ collections }) => collections));
  const left = present.filter((name) => ours.has(name));
  for (const name of left) {
    progress({ step: "clean", detail: `${name}, which an earlier run left` });
    await target.deleteCollection(name);
  }
  return left;
}
