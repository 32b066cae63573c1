/** Detects restores into a standby's peers that replication did not make. */
import type { Clock } from "../../ports/clock.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import type { ShardPlacement, VectorDatabase } from "../../ports/qdrant.ts";
import type { StandbyKnowledge } from "../../repository/control/standby-records.ts";
import { waitAtMost } from "../../time/wait-until.ts";
import { ownFingerprint } from "../capture/read/own-fingerprint.ts";

/** While a restore is under way, a peer's fingerprint is another one at every look. */
const stillWithin = { withinMs: 10_000, everyMs: 200 };

export class StandbyRestoreDetector {
  readonly #target: VectorDatabase;
  readonly #news: StandbyKnowledge;
  readonly #clock: Clock;
  readonly #control: ObjectStoreReader;
  readonly #answers = new Map<number, Promise<boolean>>();

  /** @param control the standby's, where its test restores note what they give. */
  constructor(target: VectorDatabase, knowledge: StandbyKnowledge, clock: Clock, control: ObjectStoreReader) {
    this.#target = target;
    this.#news = knowledge;
    this.#clock = clock;
    this.#control = control;
  }

  /**
   * False when the peer's process is the one that was recorded, and was given something to restore since. A process that was
   * started again cannot tell; then, and after replication that was cut off, a shard is known by its segments alone.
   */
  isAsRecorded(shard: ShardPlacement): Promise<boolean> {
    const known = this.#answers.get(shard.peer);
    if (known !== undefined) return known;
    const answer = this.#ask(shard);
    this.#answers.set(shard.peer, answer);
    return answer;
  }

  async #ask(shard: ShardPlacement): Promise<boolean> {
    const { begunAt, held } = this.#news;
    const recorded = held?.fingerprints[String(shard.peer)];
    let now = await this.#target.restoreFingerprint(shard);
    if (held === undefined || now === recorded) return held !== undefined;
    // The restore of another run may be taking effect right now; test restores do not count.
    const source = { clock: this.#clock, control: this.#control, database: this.#target };
    await this.#clock.sleep(stillWithin.everyMs);
    await waitAtMost(this.#clock, stillWithin, async () => {
      const again = await ownFingerprint({ ...source, known: new Map() }, shard);
      const isStill = again === now;
      now = again;
      return isStill || again === recorded;
    });
    if (now === recorded || begunAt !== undefined) return true;
    const processes = await this.#target.processes();
    return !processes.every((process) => held.processes.includes(process));
  }
}
