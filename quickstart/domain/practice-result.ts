/** What a practised disaster showed: the numbers of the result table, of `--json`, and of the report page. */
import type { TimedStep } from "../../runtime/domain/timed-step.ts";

export interface PracticeCollection {
  readonly name: string;
  /** Exact counts by the servers: in the primary before the disaster, in the standby when clients are served again. */
  readonly pointsBefore: number;
  readonly pointsAfter: number;
  /** Writes that the client was told are safe, before the disaster. */
  readonly acknowledgedWrites: number;
  /** Ids of acknowledged writes that are not in the standby. */
  readonly lostIds: readonly number[];
}

export interface PracticeProof {
  /** What was proven, as a sentence. */
  readonly claim: string;
  /** How, with the numbers. */
  readonly evidence: string;
}

export interface PracticeRecoveryPoint {
  readonly id: string;
  readonly type: "full" | "incremental";
  readonly time: string;
  readonly isExact: boolean;
  readonly readBytes: number;
  readonly storedBytes: number;
}

export interface PracticeResult {
  /** From SIGKILL to the first write acknowledged and read back, by a client that never stopped. */
  readonly rtoSeconds: number;
  /** From the oldest acknowledged write that was lost to SIGKILL; 0 when none was lost. */
  readonly rpoSeconds: number;
  readonly rtoObjectiveSeconds: number;
  readonly rpoObjectiveSeconds: number;
  readonly lostWrites: number;
  readonly acknowledgedWrites: number;
  readonly pointsBefore: number;
  readonly pointsAfter: number;
  readonly verified: boolean;
  readonly startedAt: string;
  /** When the primary region was killed, and when its first client was served again. */
  readonly killedAt: string;
  readonly servedAt: string;
  readonly steps: readonly TimedStep[];
  /** The steps of the failover, a part of the step of that name. */
  readonly failover: readonly TimedStep[];
  readonly collections: readonly PracticeCollection[];
  readonly points: readonly PracticeRecoveryPoint[];
  readonly restoredPoint: string;
  readonly proofs: readonly PracticeProof[];
  readonly versions: Readonly<Record<string, string>>;
  /** Path of the report page. */
  readonly report: string;
  /** The estate, when it is kept. */
  readonly estate?: string;
}
