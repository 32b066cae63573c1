/** The only place that builds or reads object keys. `docs/reference/store-format.md` describes what stands behind each. */

export const storeLayout = {
  repository: "repository.json",
  packs: "packs/",
  trees: "trees/",
  recoveryPoints: "recovery-points/",
  sessions: "sessions/",
  pack: (id: string) => `packs/${id.slice(0, 2)}/${id}`,
  tree: (id: string) => `trees/${id.slice(0, 2)}/${id}`,
  manifest: (recoveryPointId: string) => `recovery-points/${recoveryPointId}/manifest`,
  capturePlan: (session: string) => `sessions/${session}/plan`,
  capturePart: (session: string, worker: number) => `sessions/${session}/parts/${worker}`,
  captureCommitted: (session: string) => `sessions/${session}/committed`,
  attestation: (recoveryPointId: string, kind: string, id: string) =>
    `recovery-points/${recoveryPointId}/attestations/${kind}-${id}`,
} as const;

/** Keys of the control store: small records outside the recovery points' retention. */
export const controlLayout = {
  epochs: "epochs/",
  keys: "keys/",
  epoch: (epoch: number) => `epochs/${String(epoch).padStart(10, "0")}.json`,
  key: (keyId: string) => `keys/${keyId}.age`,
  /** Closes the gate of the region that is active before this epoch. */
  fence: (epoch: number) => `fences/${String(epoch).padStart(10, "0")}.json`,
  /** The region that this epoch makes active holds its data and may serve. */
  opening: (epoch: number) => `openings/${String(epoch).padStart(10, "0")}.json`,
  leases: "leases/",
  leaseLink: (epoch: number, link: number) =>
    `leases/${String(epoch).padStart(10, "0")}/${String(link).padStart(10, "0")}.json`,
  failover: (epoch: number) => `failovers/${String(epoch).padStart(10, "0")}/`,
  failoverStep: (epoch: number, step: string, phase: "started" | "done", run: string) =>
    `failovers/${String(epoch).padStart(10, "0")}/${step}.${phase}.${run}.json`,
  failoverOwner: (epoch: number, turn: number) =>
    `failovers/${String(epoch).padStart(10, "0")}/owner.${String(turn).padStart(6, "0")}.json`,
  heartbeat: (epoch: number, run: string, beat: number) =>
    `failovers/${String(epoch).padStart(10, "0")}/alive.${run}.${beat}.json`,
  divergence: (epoch: number, run: string) => `failovers/${String(epoch).padStart(10, "0")}/divergence.${run}.json`,
  restores: "restores/",
  restore: (id: string) => `restores/${id}.started.json`,
  restoreDone: (id: string) => `restores/${id}.done.json`,
  runs: "runs/",
  /** A folder for every day, so that the newest are found without a list of all. */
  runsOfDay: (day: string) => `runs/${day}/`,
  run: (at: Date, id: string, kind: string) => `runs/${dayOf(at)}/${id}.${kind}.json`,
  snapshots: "snapshots/",
  standby: "standby/",
  standbyTurns: "standby/turns/",
  standbyTurn: (turn: number) => `standby/turns/${String(turn).padStart(10, "0")}.json`,
  standbyCapture: (epoch: number, number: number) =>
    `standby/captures/${String(epoch).padStart(10, "0")}/${String(number).padStart(10, "0")}.json`,
  /** A folder for every hour, so that the newest is found without a list of all. */
  standbyStates: (hour: string) => `standby/states/${hour}/`,
  standbyState: (at: Date, phase: "begun" | "held", id: string) => `standby/states/${hourOf(at)}/${id}.${phase}.json`,
  snapshot: (id: string, phase: "making" | "made" | "gone") => `snapshots/${id}.${phase}.json`,
} as const;

/** The hour in UTC, as in `2026-01-31T23`. */
export function hourOf(at: Date): string {
  return at.toISOString().slice(0, 13);
}

/** The day in UTC, as in `2026-01-31`. */
export function dayOf(at: Date): string {
  return at.toISOString().slice(0, 10);
}

/** The recovery point a key under `recovery-points/` belongs to, and what it is. */
export function parseRecoveryPointKey(
  key: string,
): { recoveryPointId: string; kind: "manifest" | "attestation" } | undefined {
  const match = /^recovery-points\/([^/]+)\/(manifest|attestations\/.+)$/.exec(key);
  if (match?.[1] === undefined) return undefined;
  return { recoveryPointId: match[1], kind: match[2] === "manifest" ? "manifest" : "attestation" };
}

/** The id of the tree that a key is of. */
export function parseTreeKey(key: string): string | undefined {
  return /^trees\/[^/]+\/([^/]+)$/.exec(key)?.[1];
}
