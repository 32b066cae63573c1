/** Whether something else was restored into a standby's peers than replication knows of. */
import { setTimeout as sleep } from "node:timers/promises";
import type { ShardPlacement, VectorDatabase } from "../../ports/qdrant.ts";
import type { StandbyNews } from "../../repository/control/standby-records.ts";

/** A restore that is under way makes a peer's past another one at every look. */
const stillWithin = { looks: 50, everyMs: 200 };

export class StandbyRestoreDetector {
  readonly #target: VectorDatabase;
  readonly #news: StandbyNews;
  readonly #answers = new Map<number, Promise<boolean>>();

  constructor(target: VectorDatabase, news: StandbyNews) {
    this.#target = target;
    this.#news = news;
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
    // What another run has sent may be taking effect right now.
    for (let look = 1; look <= stillWithin.looks; look += 1) {
      await sleep(stillWithin.everyMs);
      const again = await this.#target.restoreFingerprint(shard);
      if (again === now) break;
      now = again;
    }
    if (now === recorded || begunAt !== undefined) return true;
    const processes = await this.#target.processes();
    return !processes.every((process) => held.processes.includes(process));
  }
}
