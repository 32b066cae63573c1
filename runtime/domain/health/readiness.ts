/**
 * How ready a region is to take over, as a number with reasons. It is 0 while something is wrong without which a failover
 * cannot be done, and 100 only when every check that could be made is good; what could not be seen never counts as good.
 */
import { toDrError } from "../../errors.ts";
import { formatBytes, formatSeconds } from "../format.ts";
import { checkRestorable } from "../recovery-points/version-rule.ts";
import type { Role } from "../roles/epoch.ts";

/** What was found, why nothing could be found, or why nobody looked. */
export type Fact<T> = { readonly value: T } | { readonly problem: string } | { readonly notAsked: string };

export interface Objectives {
  readonly rtoMinutes: number;
  readonly rpoMinutes: number;
}

export interface ReadinessFacts {
  /** Undefined when they are not known here: then nothing is known to be good enough. */
  readonly objectives: Objectives | undefined;
  /** By the epoch records here, and whether the other region knows the same epoch as far as it answers. */
  readonly role: Fact<{ readonly role: Role; readonly epoch: number; readonly otherEpoch?: number | undefined }>;
  /** Qdrant here. */
  readonly server: Fact<{ readonly version: string }>;
  /** What stands in front of Qdrant; undefined where nothing does. */
  readonly gate: Fact<{ readonly isOpen: boolean; readonly reason: string } | undefined>;
  /** The newest recovery point that is complete in the bucket here. */
  readonly recoveryPoint: Fact<NewestRecoveryPoint | { readonly none: string }>;
  /** How many keys open here: all that the repository and this recovery point need. */
  readonly keys: Fact<number>;
  /** A write to the control store was accepted. */
  readonly writable: Fact<true>;
  readonly traffic: Fact<{ readonly leadsTo: string | undefined }>;
  readonly machine: Fact<{ readonly memoryBytes: number; readonly diskBytes: number }>;
  /** Undefined: nothing is kept applied here. "absent": nothing is either, and the region is declared to follow. */
  readonly standby: Fact<StandbyLag | "absent" | undefined>;
  readonly restore: Fact<{ readonly bytes: number; readonly seconds: number }>;
  /** The state of this region's stack was read now. */
  readonly backend: Fact<true>;
  /** What `pulumi up` would change. */
  readonly drift: Fact<readonly string[]>;
  /** The last restore or failover that was finished here. */
  readonly practice: Fact<{ readonly what: string; readonly ageSeconds: number } | undefined>;
}

export interface NewestRecoveryPoint {
  readonly id: string;
  readonly ageSeconds: number;
  /** Why its own time does not count: then its age is that of an older one. */
  readonly doubt?: string | undefined;
  readonly isExact: boolean;
  readonly isVerified: boolean;
  /** What its capture could not read, each as a sentence. */
  readonly missing: readonly string[];
  /** Undefined when the recovery point does not say. */
  readonly qdrantVersion: string | undefined;
}

export interface StandbyLag {
  readonly lagSeconds: number;
  /** Of the newest state that is known to be exact. */
  readonly exactLagSeconds: number | undefined;
  /** Something was begun to be done to it so long ago, and has not ended. */
  readonly begunSeconds: number | undefined;
}

export type CheckState = "good" | "poor" | "bad" | "unknown" | "not asked";

interface Finding {
  readonly state: CheckState;
  readonly detail: string;
  /** What to do now; for all that is not good. */
  readonly hint?: string;
}

export interface Check extends Finding {
  readonly name: CheckName;
  readonly title: string;
  /** Without it a failover cannot be done. */
  readonly isNeeded: boolean;
  /** What it takes from the score. */
  readonly lost: number;
}

export interface Readiness {
  /** 0 to 100. */
  readonly score: number;
  readonly checks: readonly Check[];
}

/** A full disk stops a restore: Qdrant keeps the archive of a shard beside the shard until it is unpacked. */
const diskPerStoredByte = 3;
/** An apply that takes longer was cut off, most likely. */
const longestApplySeconds = 15 * 60;
const longestWithoutPractice = 90 * 24 * 3600;

interface CheckRule {
  readonly title: string;
  readonly weight: number;
  /** Without it a failover cannot be done. */
  readonly isNeeded: boolean;
  find(facts: ReadinessFacts): Finding;
}

const rules = {
  role: {
    title: "Role",
    weight: 5,
    isNeeded: true,
    find: ({ role }) =>
      from(role, "make the control store here readable", ({ epoch, otherEpoch, role: name }) => {
        if (name === "active") return bad(`active already, in epoch ${epoch}`, "fail over to the other region");
        if (otherEpoch === undefined || otherEpoch === epoch) return good(`${name} in epoch ${epoch}`);
        return poor(
          `${name} in epoch ${epoch}; the other region knows epoch ${otherEpoch}`,
          "the newer epoch decides: run the last failover again, so that both know it",
        );
      }),
  },
  server: {
    title: "Qdrant here",
    weight: 15,
    isNeeded: true,
    find: ({ server }) => from(server, "start it: `pulumi up` of this region's stack", ({ version }) => good(version)),
  },
  gate: {
    title: "Gate",
    weight: 6,
    isNeeded: true,
    find: ({ gate }) =>
      from(gate, "start it: `pulumi up` of this region's stack", (state) => {
        if (state === undefined) return { state: "not asked", detail: "nothing stands in front of Qdrant" };
        if (!state.isOpen) return good(`closed: ${state.reason}`);
        return poor(
          `lets clients through although the region is not active: ${state.reason}`,
          "let it reach the control store of the other region: then it closes",
        );
      }),
  },
  recoveryPoint: {
    title: "Recovery point here",
    weight: 20,
    isNeeded: true,
    find: ({ objectives, recoveryPoint }) =>
      from(recoveryPoint, "make the repository here readable; `qdrant-dr recovery-points list` shows it", (newest) => {
        if ("none" in newest) return bad(newest.none, "bring one with `qdrant-dr copy`, or `qdrant-dr replicate`");
        const age = `${newest.id}, ${formatSeconds(newest.ageSeconds)} old`;
        if (newest.doubt !== undefined) return poor(newest.doubt, "set the clocks right, and capture again");
        const [first] = newest.missing;
        if (first !== undefined) return poor(`${age}, and partial: ${first}`, "mend what it names, and capture again");
        return judgeWithin(newest.ageSeconds, objectives?.rpoMinutes, age, "capture and copy more often");
      }),
  },
  exact: {
    title: "Exact recovery point",
    weight: 4,
    isNeeded: false,
    find: ({ recoveryPoint }) =>
      ofRecoveryPoint(recoveryPoint, ({ isExact }) =>
        isExact ? good("yes") : poor("deletes may be back in it", "capture again when no optimization runs"),
      ),
  },
  verified: {
    title: "Verified recovery point",
    weight: 4,
    isNeeded: false,
    find: ({ recoveryPoint }) =>
      ofRecoveryPoint(recoveryPoint, ({ isVerified }) =>
        isVerified ? good("byte by byte, here") : poor("not here", "`qdrant-dr verify` reads all of it"),
      ),
  },
  versions: {
    title: "Versions",
    weight: 6,
    isNeeded: true,
    find: ({ recoveryPoint, server }) =>
      ofRecoveryPoint(recoveryPoint, ({ qdrantVersion }) =>
        "value" in server
          ? compareVersions(qdrantVersion, server.value.version)
          : { state: "not asked", detail: "this region's Qdrant does not say its version" },
      ),
  },
  keys: {
    title: "Keys",
    weight: 10,
    isNeeded: true,
    find: ({ keys }) =>
      from(keys, "bring them with `qdrant-dr copy`, or open them with --identity-file", (count) =>
        good(`all ${count} open here`),
      ),
  },
  writable: {
    title: "Write access",
    weight: 6,
    isNeeded: true,
    find: ({ writable }) => from(writable, "let this identity create objects in the control store", () => good("yes")),
  },
  traffic: {
    title: "Traffic control",
    weight: 6,
    isNeeded: true,
    find: ({ traffic }) =>
      from(traffic, "start it: `pulumi up` of the stack that declares the endpoint", ({ leadsTo }) =>
        good(leadsTo === undefined ? "answers; nobody is led anywhere" : `answers; clients are led to ${leadsTo}`),
      ),
  },
  standby: {
    title: "Standby",
    weight: 8,
    isNeeded: false,
    find: ({ objectives, standby }) =>
      from(standby, "look at what `qdrant-dr replicate` says", (state) => {
        if (state === undefined) return { state: "not asked", detail: "nothing is kept applied here" };
        if (state === "absent") {
          return bad(
            "nothing is kept applied here, and the region is declared to follow",
            "see why the replicator does not: the log of its pod `qdrant-dr-replicate`, or `qdrant-dr replicate --once`",
          );
        }
        const exact = state.exactLagSeconds === undefined ? "never exact" : formatSeconds(state.exactLagSeconds);
        const lag = `${formatSeconds(state.lagSeconds)} behind (exact: ${exact})`;
        if (state.begunSeconds !== undefined && state.begunSeconds > longestApplySeconds) {
          const begun = `an apply that began ${formatSeconds(state.begunSeconds)} ago did not end`;
          return poor(`${lag}; ${begun}`, "run `qdrant-dr replicate`: it mends what was cut off");
        }
        return judgeWithin(state.lagSeconds, objectives?.rpoMinutes, lag, "look at what `qdrant-dr replicate` says");
      }),
  },
  capacity: {
    title: "Capacity",
    weight: 6,
    isNeeded: false,
    find: ({ machine, restore }) =>
      from(restore, "make the repository here readable", ({ bytes }) =>
        from(machine, "let this tool read Qdrant's telemetry", ({ diskBytes, memoryBytes }) => {
          const needed = bytes * diskPerStoredByte;
          const has = `${formatBytes(diskBytes)} of disk, ${formatBytes(memoryBytes)} of memory`;
          const room = `${has}; a restore takes up to ${formatBytes(needed)} of disk`;
          return diskBytes >= needed ? good(room) : poor(room, "give this region's Qdrant more disk");
        }),
      ),
  },
  rto: {
    title: "Predicted restore",
    weight: 8,
    isNeeded: false,
    find: ({ objectives, restore, standby }) =>
      from(restore, "make the repository here readable", ({ bytes, seconds }) => {
        const followed = "value" in standby && standby.value !== "absent" ? standby.value : undefined;
        const predicted = `${formatSeconds(seconds)} for ${formatBytes(bytes)}`;
        const lag = followed?.lagSeconds;
        const isWarm = lag !== undefined && objectives !== undefined && lag <= objectives.rpoMinutes * 60;
        if (isWarm) return good(`the standby holds it; from the bucket ${predicted}`);
        return judgeWithin(seconds, objectives?.rtoMinutes, predicted, "keep a warm standby: `qdrant-dr replicate`");
      }),
  },
  backend: {
    title: "State backend",
    weight: 4,
    isNeeded: false,
    find: ({ backend }) => from(backend, "check PULUMI_BACKEND_URL and its credentials", () => good("answers")),
  },
  drift: {
    title: "Drift",
    weight: 4,
    isNeeded: false,
    find: ({ drift }) =>
      from(drift, "`pulumi preview` of this region's stack says more", (changes) =>
        changes.length === 0
          ? good("the stack is as declared")
          : poor(`\`pulumi up\` would ${shortly(changes)}`, "`pulumi up` of this region's stack"),
      ),
  },
  practice: {
    title: "Last practice",
    weight: 4,
    isNeeded: false,
    find: ({ practice }) =>
      from(practice, "make the control store here readable", (last) => {
        if (last === undefined)
          return poor("nothing was ever restored here", "practise: restore a recovery point beside");
        const done = `${last.what}, ${formatSeconds(last.ageSeconds)} ago`;
        return last.ageSeconds <= longestWithoutPractice ? good(done) : poor(done, "practise again");
      }),
  },
} as const satisfies Record<string, CheckRule>;

export type CheckName = keyof typeof rules;

export function assessReadiness(facts: ReadinessFacts): Readiness {
  const found = Object.entries(rules).map(([name, rule]) => ({
    name: name as CheckName,
    rule: rule as CheckRule,
    finding: rule.find(facts),
  }));
  const asked = found.filter(({ finding }) => finding.state !== "not asked");
  const all = asked.reduce((sum, { rule }) => sum + rule.weight, 0);
  const lost = asked.reduce((sum, { finding, rule }) => sum + rule.weight * shareLost(finding.state), 0);
  const cannot = asked.some(({ finding, rule }) => rule.isNeeded && shareLost(finding.state) === 1);
  return {
    // Rounded down: only a region without a fault gets 100.
    score: cannot ? 0 : Math.floor((100 * (all - lost)) / all),
    checks: found.map(({ finding, name, rule }) => ({
      name,
      title: rule.title,
      isNeeded: rule.isNeeded,
      lost: finding.state === "not asked" ? 0 : (100 * rule.weight * shareLost(finding.state)) / all,
      ...finding,
    })),
  };
}

function shareLost(state: CheckState): number {
  if (state === "good" || state === "not asked") return 0;
  return state === "poor" ? 0.5 : 1;
}

function from<T>(fact: Fact<T>, hint: string, find: (value: T) => Finding): Finding {
  if ("value" in fact) return find(fact.value);
  if ("notAsked" in fact) return { state: "not asked", detail: fact.notAsked };
  return { state: "unknown", detail: fact.problem, hint };
}

/** What can be asked of a recovery point only when there is one; that there is none, `recoveryPoint` says. */
function ofRecoveryPoint(
  recoveryPoint: ReadinessFacts["recoveryPoint"],
  find: (newest: NewestRecoveryPoint) => Finding,
): Finding {
  if ("value" in recoveryPoint && !("none" in recoveryPoint.value)) return find(recoveryPoint.value);
  return { state: "not asked", detail: "there is no recovery point to look at" };
}

/** @param minutes the objective; undefined when it is not known here. */
function judgeWithin(seconds: number, minutes: number | undefined, detail: string, hint: string): Finding {
  if (minutes === undefined) return poor(`${detail}; the objective is not known here`, hint);
  return seconds <= minutes * 60 ? good(detail) : poor(`${detail}; ${minutes} min are wanted`, hint);
}

function compareVersions(captured: string | undefined, here: string): Finding {
  if (captured === undefined) {
    return bad("the recovery point does not say its version of Qdrant", "use another recovery point");
  }
  try {
    checkRestorable(captured, here);
    return good(`a recovery point of ${captured} is restored on ${here}`);
  } catch (error) {
    const { hint, message } = toDrError(error);
    return bad(message, hint ?? "look at what answers at this region's address of Qdrant");
  }
}

function shortly(changes: readonly string[]): string {
  const shown = changes.slice(0, 3).join(", ");
  return changes.length > 3 ? `${shown} and ${changes.length - 3} more` : shown;
}

function good(detail: string): Finding {
  return { state: "good", detail };
}

function poor(detail: string, hint: string): Finding {
  return { state: "poor", detail, hint };
}

function bad(detail: string, hint: string): Finding {
  return { state: "bad", detail, hint };
}
