/** Requests hold what a switchover and a failover act with. The plan says what they do. */
import type { Region } from "../../domain/region.ts";
import type { TimedStep } from "../../domain/timed-step.ts";
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
import type { DeclaredFolders } from "./restore-declared-folders.ts";

/** The region to promote, and the run that promotes it. */
interface PromotionRequest {
  /** Its stack. */
  readonly stack: string;
  readonly region: Region;
  readonly repository: OpenRepository;
  readonly database: VectorDatabase;
  /** Absent when the region declares none: then nothing but the public name's control keeps clients away. */
  readonly gate?: Gate | undefined;
  /** The third place, when the gates work with leases. */
  readonly witness?: ObjectStore | undefined;
  /** Absent when there is no public name that could be moved. */
  readonly traffic: TrafficControl | undefined;
  /** Absent where no stack declares the regions. */
  readonly stacks: Stacks | undefined;
  /** Where the region's folders are on this machine; absent where they are elsewhere. */
  readonly folders?: DeclaredFolders | undefined;
  readonly hooks?: FailoverHooks | undefined;
  /** Called with each step that is finished. */
  readonly onStep?: ((step: TimedStep) => void) | undefined;
  readonly run: string;
  /** Lets a later run on the same machine know that this one is dead. */
  readonly runner?: Runner | undefined;
  readonly clock: Clock;
  readonly progress: Progress;
}

/** The region that steps down in a switchover. */
export interface ActiveRegion {
  readonly region: string;
  readonly database: VectorDatabase;
  readonly control: ObjectStore;
  readonly gate: Gate | undefined;
}

/** Both regions live. */
export interface SwitchoverRequest extends PromotionRequest {
  readonly kind: "switchover";
  readonly active: ActiveRegion;
  /** Written into the recovery points that bring the last writes over. */
  readonly toolVersion: string;
}

/** The active region is lost. */
export interface FailoverRequest extends PromotionRequest {
  readonly kind: "failover";
  /** Control store of the lost region; undefined when it cannot be reached. */
  readonly lostControl: ObjectStore | undefined;
  /** The most seconds of acknowledged writes that may be lost. */
  readonly acceptedDataLossSeconds: number;
  /** Collections that may be absent afterwards, because no capture could read them. */
  readonly acceptedAbsent?: readonly string[] | undefined;
}

export type RoleChangeRequest = SwitchoverRequest | FailoverRequest;
