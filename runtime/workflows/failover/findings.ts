/** Steps of one run leave their findings here, for the steps after them and for the report. Times are of the monotonic clock. */

import type { RoleChangePlan, ServableState } from "./plan-failover.ts";
import type { FolderLeft } from "./restore-declared-folders.ts";

/** Counts of what was compared with the source's own answers. */
export interface Proof {
  readonly samples: number;
  readonly canaries: number;
}

export class Findings {
  #serveFrom: ServableState | undefined;
  /** Absent until a step of this run has compared the region. */
  proof?: Proof;
  /** When this run was about to write the fence of a switchover; absent when an earlier run had written it. */
  fencedAtMs?: number;
  /** When the gate of the promoted region was seen open. */
  openedAtMs?: number;
  /** When the other region's lease will have run out. */
  leaseEndsAtMs?: number;

  /** Folders that the region declares and does not have, and why. */
  readonly foldersLeft: FolderLeft[] = [];

  constructor(plan: RoleChangePlan) {
    if (plan.kind !== "switchover") this.#serveFrom = plan.serveFrom;
  }

  /** A switchover finds it when the last writes have been brought over. */
  get serveFrom(): ServableState {
    if (this.#serveFrom === undefined) throw new Error("no step has found yet what the region serves from");
    return this.#serveFrom;
  }

  set serveFrom(state: ServableState) {
    this.#serveFrom = state;
  }

  /** For how long no region took writes; undefined when this run did not fence one. */
  get pauseSeconds(): number | undefined {
    if (this.fencedAtMs === undefined || this.openedAtMs === undefined) return undefined;
    return (this.openedAtMs - this.fencedAtMs) / 1000;
  }
}
