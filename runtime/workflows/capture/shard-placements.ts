/** Where the shards of collections are: asked for when they do not move. */
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Progress } from "../../ports/progress.ts";
import type { ShardPlacement, ShardReader } from "../../ports/qdrant.ts";
import { waitUntil } from "../../time/wait-until.ts";

/** How long shards may move before a capture is refused. */
const movementsEndWithinMs = 10 * 60_000;
const looksEveryMs = 500;

export interface PlacementSource {
  readonly database: Pick<ShardReader, "layout">;
  readonly clock: Clock;
  readonly progress: Progress;
  /** Ends the wait for shards that move. */
  readonly signal?: AbortSignal | undefined;
}

export class ShardPlacements {
  readonly #source: PlacementSource;
  readonly #known = new Map<string, Promise<ShardPlacement[]>>();

  constructor(source: PlacementSource) {
    this.#source = source;
  }

  /** The replicas of a collection, as they were when this was asked first. */
  of(collection: string): Promise<ShardPlacement[]> {
    const known = this.#known.get(collection);
    if (known !== undefined) return known;
    const asked = this.current(collection);
    this.#known.set(collection, asked);
    return asked;
  }

  /** The replicas of a collection as they are now. Waits until its shards do not move, and refuses when that takes too long. */
  current(collection: string): Promise<ShardPlacement[]> {
    const { clock, database, progress, signal } = this.#source;
    let seen: readonly string[] = [];
    const wait = {
      what: `the shards of ${collection} to stay where they are`,
      withinMs: movementsEndWithinMs,
      everyMs: looksEveryMs,
      signal,
      expired: () =>
        new DrError("CAPTURE_INCOMPLETE", `${collection}: ${seen.join("; ")}`, {
          hint: "capture again when shards no longer move",
        }),
    };
    return waitUntil(clock, wait, async () => {
      const { movements, shards } = await database.layout(collection);
      if (movements.length === 0) return shards;
      seen = movements;
      progress({ step: "wait", detail: `${collection}: ${movements[0]}` });
      return undefined;
    });
  }
}
