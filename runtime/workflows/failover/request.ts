/** What a failover is asked to do, and with what. */
import type { Region } from "../../domain/region.ts";
import type { Clock } from "../../ports/clock.ts";
import type { FailoverHooks } from "../../ports/failover-hooks.ts";
import type { Gate } from "../../ports/gate.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import type { Progress } from "../../ports/progress.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import type { Runner } from "../../ports/runner.ts";
import type { Stacks } from "../../ports/stacks.ts";
import type { TrafficControl } from "../../ports/traffic.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import type { FailoverStep } from "./failover-run.ts";

export interface FailoverRequest {
  /** Stack and outputs of the region to promote. */
  readonly stack: string;
  readonly region: Region;
  readonly repository: OpenRepository;
  readonly database: VectorDatabase;
  /** Absent when the region declares none: then nothing but the public name's control keeps clients away. */
  readonly gate?: Gate | undefined;
  /** Absent when there is no public name that could be moved. */
  readonly traffic: TrafficControl | undefined;
  readonly stacks: Stacks;
  /** Control store of the region that is given up, as far as it can be reached. */
  readonly otherControl: ObjectStore | undefined;
  /** The third place, when the gates work with leases. */
  readonly witness?: ObjectStore | undefined;
  /** Set for a switchover: the region that steps down. */
  readonly handOver?: HandOver | undefined;
  readonly hooks?: FailoverHooks | undefined;
  readonly onStep?: ((step: FailoverStep) => void) | undefined;
  readonly run: string;
  readonly runner?: Runner | undefined;
  /** Another recovery point than the newest. */
  readonly recoveryPoint?: string | undefined;
  /** The most seconds of acknowledged writes that may be lost. */
  readonly acceptedDataLossSeconds: number;
  readonly clock: Clock;
  readonly progress: Progress;
}

/** What a cycle of replication did: see runtime/workflows/replicate. */
export interface FollowCycle {
  readonly recoveryPoint: string;
  readonly asOf: string;
  readonly isExact: boolean;
  readonly isChanged: boolean;
  readonly seconds: number;
}

/** The active region of a switchover. */
export interface HandOver {
  readonly region: string;
  readonly database: VectorDatabase;
  readonly control: ObjectStore;
  readonly gate: Gate | undefined;
  /** What the promoted region holds is its own past, from before it was given up in a failover: it is overwritten. */
  readonly isSuperseding: boolean;
  /** From the active region to the one that is promoted. */
  cycle(options: { readonly patience: "provisional" | "soon" }): Promise<FollowCycle>;
}
