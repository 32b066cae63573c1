/** The only place that builds or reads object keys. `docs/reference/store-format.md` describes what stands behind each. */
import { z } from "zod";
import { timeOfId } from "../identifier.ts";

const numbered = (number: number, digits = 10): string => String(number).padStart(digits, "0");

/** Ids that tell no time come before all others. */
const noDay = "0000-00-00";

/** The day in the id of a recovery point: of the clock that made it, and so only a place where to look. */
function dayOfId(id: string): string {
  const time = timeOfId(id);
  return time === undefined ? noDay : dayOf(time);
}

const recoveryPointFolder = (id: string): string => `recovery-points/${dayOfId(id)}/${id}/`;

export const storeLayout = {
  repository: "repository.json",
  packs: "packs/",
  trees: "trees/",
  facts: "facts/",
  recoveryPoints: "recovery-points/",
  sessions: "sessions/",
  /** What replication captures from second to second: the same objects below it, for an hour. */
  stream: "stream/",
  inStream: (key: string) => `stream/${key}`,
  journal: "journal/",
  /** What clients changed in a region, kept in the other one's store. */
  journalOf: (region: string) => `journal/${region}/`,
  /** Folders of some thousands, so that the newest is found without a list of all. */
  journalObject: (region: string, number: number) =>
    `journal/${region}/${numbered(Math.floor(number / 10_000), 6)}/${numbered(number)}`,
  healed: "healed/",
  /** Stands in for a damaged object. */
  healedObject: (key: string, copy: number) => `healed/${key}/${copy}`,
  pack: (id: string) => `packs/${id.slice(0, 2)}/${id}`,
  tree: (id: string) => `trees/${id.slice(0, 2)}/${id}`,
  /** What a collection was: its settings, and answers that a restored copy must give again. */
  collectionFacts: (id: string) => `facts/${id.slice(0, 2)}/${id}`,
  /** A folder for every day, so that the newest are found without a list of all. */
  recoveryPointsOfDay: (day: string) => `recovery-points/${day}/`,
  /** What the days of a month begin with. */
  recoveryPointsOfMonth: (at: Date) => `recovery-points/${dayOf(at).slice(0, 7)}-`,
  /** What the ids of an hour of a day begin with. */
  recoveryPointsOfHour: (day: string, hour: number) =>
    `recovery-points/${day}/${day.replaceAll("-", "")}T${numbered(hour, 2)}`,
  recoveryPoint: recoveryPointFolder,
  manifest: (recoveryPointId: string) => `${recoveryPointFolder(recoveryPointId)}manifest`,
  capturePlan: (session: string) => `sessions/${session}/plan`,
  capturePart: (session: string, worker: number) => `sessions/${session}/parts/${worker}`,
  captureCommitted: (session: string) => `sessions/${session}/committed`,
  /** A sign of life of a capture that lasts, or of a copy that brings the recovery point of this id. */
  sessionAlive: (session: string, id: string) => `sessions/${session}/alive/${id}`,
  attestations: (recoveryPointId: string) => `${recoveryPointFolder(recoveryPointId)}attestations/`,
  attestation: (recoveryPointId: string, finding: string, id: string) =>
    `${recoveryPointFolder(recoveryPointId)}attestations/${finding}-${id}`,
} as const;

/** Keys of the control store: small records outside the recovery points' retention. */
export const controlLayout = {
  epochs: "epochs/",
  keys: "keys/",
  prunes: "prunes/",
  prunePlan: (number: number) => `prunes/${numbered(number)}/plan.json`,
  prunePart: (number: number, run: string, part: number) =>
    `prunes/${numbered(number)}/parts/${run}.${numbered(part, 6)}.json`,
  pruneBegun: (number: number) => `prunes/${numbered(number)}/begun.json`,
  prunePartDone: (number: number, part: number) => `prunes/${numbered(number)}/done/${numbered(part, 6)}.json`,
  pruneDone: (number: number) => `prunes/${numbered(number)}/done.json`,
  pruneTurn: (turn: number) => `prunes/turns/${numbered(turn)}.json`,
  epoch: (epoch: number) => `epochs/${numbered(epoch)}.json`,
  key: (keyId: string) => `keys/${keyId}.age`,
  /** The same key, wrapped again for these holders (`KeyWrap.holders`). */
  keyFor: (keyId: string, holders: string) => `keys/${keyId}.${holders}.age`,
  /** From which key on captures make new data keys. */
  keyGeneration: (number: number) => `keys/generations/${numbered(number)}.json`,
  /** Closes the gate of the region that is active before this epoch. */
  fence: (epoch: number) => `fences/${numbered(epoch)}.json`,
  /** The region that this epoch makes active holds its data and may serve. */
  opening: (epoch: number) => `openings/${numbered(epoch)}.json`,
  leases: "leases/",
  leaseLink: (epoch: number, link: number) => `leases/${numbered(epoch)}/${numbered(link)}.json`,
  failover: (epoch: number) => `failovers/${numbered(epoch)}/`,
  failoverStep: (epoch: number, step: string, phase: "started" | "done", run: string) =>
    `failovers/${numbered(epoch)}/${step}.${phase}.${run}.json`,
  failoverOwner: (epoch: number, turn: number) => `failovers/${numbered(epoch)}/owner.${numbered(turn, 6)}.json`,
  heartbeat: (epoch: number, run: string, beat: number) => `failovers/${numbered(epoch)}/alive.${run}.${beat}.json`,
  divergence: (epoch: number, run: string) => `failovers/${numbered(epoch)}/divergence.${run}.json`,
  restoredFolders: "folders/",
  /** The folder came back in this epoch's failover: what is written there since is not the lost region's. */
  restoredFolder: (epoch: number, name: string) => `folders/${numbered(epoch)}/${name}.json`,
  heals: "heals/",
  /** Which objects stand in for damaged ones. */
  heal: (id: string) => `heals/${id}.json`,
  /** Which recovery points are kept whatever the schedule says; the newest counts. */
  keptRecoveryPoints: (number: number) => `kept/${numbered(number)}.json`,
  /** How far the bytes of the repository were read. */
  verifications: "verifications/",
  verification: (number: number) => `verifications/${numbered(number)}.json`,
  /** The recovery points of a slot that were there when it was read. */
  verifiedSlots: "verifications/slots/",
  verifiedSlot: (slot: number, seconds: number) => `verifications/slots/${numbered(slot, 3)}/${numbered(seconds)}.json`,
  restores: "restores/",
  restore: (id: string) => `restores/${id}.started.json`,
  restoreDone: (id: string) => `restores/${id}.done.json`,
  /** A sign of life of the restore. */
  restoreAlive: (id: string, sign: string) => `restores/${id}.alive.${sign}.json`,
  runs: "runs/",
  /** A folder for every day, so that the newest are found without a list of all. */
  runsOfDay: (day: string) => `runs/${day}/`,
  run: (at: Date, id: string, run: string) => `runs/${dayOf(at)}/${id}.${run}.json`,
  scratchUploads: "scratch/",
  scratchUploadsOf: (process: string) => `scratch/${inKey(process)}/`,
  scratchUpload: (process: string, id: string, phase: "begun" | "taken" | "unknown") =>
    `scratch/${inKey(process)}/${id}.${phase}.json`,
  probes: "probes/",
  probesOf: (id: string) => `probes/${id}/`,
  /** What was tried out before anything was kept here. */
  probe: (id: string, name: "kept" | "raced" | "changed" | "tried") => `probes/${id}/${name}`,
  /** More than a listing shows at once; the same for every probe. */
  pagedProbes: "probes/paged/",
  pagedProbe: (index: number) => `probes/paged/${numbered(index)}`,
  schedule: "schedule/",
  scheduledTurn: (run: string, turn: number) => `schedule/${run}/${numbered(turn)}.json`,
  scheduledEnd: (run: string, turn: number) => `schedule/${run}/${numbered(turn)}.ended.json`,
  scheduledBeat: (run: string, turn: number, beat: number) =>
    `schedule/${run}/${numbered(turn)}.alive.${numbered(beat, 6)}.json`,
  alerts: "alerts/",
  alert: (number: number) => `alerts/${numbered(number)}.json`,
  /** A receiver has taken it. */
  alertTaken: (number: number, receiver: string) => `alerts/${numbered(number)}.taken.${receiver}.json`,
  snapshots: "snapshots/",
  standby: "standby/",
  standbyTurn: (turn: number) => `standby/turns/${numbered(turn)}.json`,
  standbyCapture: (epoch: number, number: number) => `standby/captures/${numbered(epoch)}/${numbered(number)}.json`,
  standbyStates: "standby/states/",
  /** A folder for every hour, so that the newest is found without a list of all. */
  standbyStatesOf: (hour: string) => `standby/states/${hour}/`,
  standbyState: (at: Date, phase: "begun" | "held", id: string) => `standby/states/${hourOf(at)}/${id}.${phase}.json`,
  standbyFollowed: "standby/followed/",
  /** A folder for every hour, so that the newest is found without a list of all. */
  standbyFollowedOf: (hour: string) => `standby/followed/${hour}/`,
  /** How far the standby has followed the journal. */
  standbyFollowedAt: (at: Date, id: string) => `standby/followed/${hourOf(at)}/${id}.json`,
  snapshot: (id: string, phase: "making" | "made" | "gone") => `snapshots/${id}.${phase}.json`,
} as const;

/** A text of a server, as a part of a key. */
function inKey(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9-]/g, "_");
}

/** The hour in UTC, as in `2026-01-31T23`. */
export function hourOf(at: Date): string {
  return at.toISOString().slice(0, 13);
}

/** The day in UTC, as in `2026-01-31`. */
export function dayOf(at: Date): string {
  return at.toISOString().slice(0, 10);
}

/** macOS leaves a file `._name` beside each of ours where it copies them to. */
const text = z.string().regex(/^[^.]/);
const number = z.string().regex(/^\d+$/).transform(Number);

/** Makes a parser of one kind of key. Its result counts only when the same key is built of it: `epochs/7.json` is no epoch's. */
function kindOfKey<Parsed>(
  shape: RegExp,
  fields: z.ZodType<Parsed>,
  build: (parsed: Parsed) => string,
): (key: string) => Parsed | undefined {
  return (key) => {
    const match = shape.exec(key);
    if (match === null) return undefined;
    const { data } = fields.safeParse({ ...match.groups });
    return data !== undefined && build(data) === key ? data : undefined;
  };
}

const kind = <Name extends string>(name: Name) => z.literal(name).default(name);

const kindsOfStoreKeys = [
  kindOfKey(/^repository\.json$/, z.object({ kind: kind("repository") }), () => storeLayout.repository),
  kindOfKey(/^packs\/[^/]+\/(?<id>[^/]+)$/, z.object({ kind: kind("pack"), id: text }), ({ id }) =>
    storeLayout.pack(id),
  ),
  kindOfKey(/^trees\/[^/]+\/(?<id>[^/]+)$/, z.object({ kind: kind("tree"), id: text }), ({ id }) =>
    storeLayout.tree(id),
  ),
  kindOfKey(/^facts\/[^/]+\/(?<id>[^/]+)$/, z.object({ kind: kind("facts"), id: text }), ({ id }) =>
    storeLayout.collectionFacts(id),
  ),
  kindOfKey(
    /^recovery-points\/[^/]+\/(?<recoveryPointId>[^/]+)\/manifest$/,
    z.object({ kind: kind("manifest"), recoveryPointId: text }),
    ({ recoveryPointId }) => storeLayout.manifest(recoveryPointId),
  ),
  kindOfKey(
    /^journal\/(?<region>[^/]+)\/\d+\/(?<number>\d+)$/,
    z.object({ kind: kind("journal"), region: text, number }),
    ({ number, region }) => storeLayout.journalObject(region, number),
  ),
  kindOfKey(
    /^healed\/(?<key>.+)\/(?<copy>[1-9]\d{0,5})$/,
    z.object({ kind: kind("healed"), key: text, copy: number }),
    ({ copy, key }) => storeLayout.healedObject(key, copy),
  ),
  // A newer version may know other findings: theirs end before the id, which begins with a digit.
  kindOfKey(
    /^recovery-points\/[^/]+\/(?<recoveryPointId>[^/]+)\/attestations\/(?<finding>quarantined|folders-quarantined|verified|[a-z-]+?)-(?<id>[^/]+)$/,
    z.object({ kind: kind("attestation"), recoveryPointId: text, finding: text, id: text }),
    ({ finding, id, recoveryPointId }) => storeLayout.attestation(recoveryPointId, finding, id),
  ),
  kindOfKey(
    /^sessions\/(?<session>[^/]+)\/plan$/,
    z.object({ kind: kind("capture-plan"), session: text }),
    ({ session }) => storeLayout.capturePlan(session),
  ),
  kindOfKey(
    /^sessions\/(?<session>[^/]+)\/parts\/(?<worker>\d+)$/,
    z.object({ kind: kind("capture-part"), session: text, worker: number }),
    ({ session, worker }) => storeLayout.capturePart(session, worker),
  ),
  kindOfKey(
    /^sessions\/(?<session>[^/]+)\/committed$/,
    z.object({ kind: kind("capture-committed"), session: text }),
    ({ session }) => storeLayout.captureCommitted(session),
  ),
  kindOfKey(
    /^sessions\/(?<session>[^/]+)\/alive\/(?<id>[^/]+)$/,
    z.object({ kind: kind("session-alive"), session: text, id: text }),
    ({ id, session }) => storeLayout.sessionAlive(session, id),
  ),
] as const;

/** The object that a key of the repository store names. */
export type StoreKey = NonNullable<ReturnType<(typeof kindsOfStoreKeys)[number]>>;

/** Takes a key of the repository store apart; undefined for one that this tool does not write. */
export function parseStoreKey(key: string): StoreKey | undefined {
  for (const parse of kindsOfStoreKeys) {
    const parsed = parse(key);
    if (parsed !== undefined) return parsed;
  }
  return undefined;
}

/** The key that an object of the stream would have in the history; undefined for one that is not of the stream. */
export function keyBelowStream(key: string): string | undefined {
  return key.startsWith(storeLayout.stream) ? key.slice(storeLayout.stream.length) : undefined;
}

/** @param region whose journal; any when left out. */
export function isOfJournal(key: string, region?: string): boolean {
  return key.startsWith(region === undefined ? storeLayout.journal : storeLayout.journalOf(region));
}

/** What is named by its content, in the order in which it must be gone through to find what needs what. */
export const contentKinds = ["tree", "facts", "pack"] as const;
export type ContentKind = (typeof contentKinds)[number];

const contentPlaces: Readonly<Record<ContentKind, { readonly prefix: string; readonly key: (id: string) => string }>> =
  {
    tree: { prefix: storeLayout.trees, key: storeLayout.tree },
    facts: { prefix: storeLayout.facts, key: storeLayout.collectionFacts },
    pack: { prefix: storeLayout.packs, key: storeLayout.pack },
  };

export function contentPrefix(kind: ContentKind): string {
  return contentPlaces[kind].prefix;
}

export function contentKey(kind: ContentKind, id: string): string {
  return contentPlaces[kind].key(id);
}

/** What is named by its content, for who goes through millions of keys; undefined for every other one, and for names that are no hashes. */
export function parseContentKey(key: string): { readonly kind: ContentKind; readonly id: string } | undefined {
  const [, id = ""] = /^[a-z]+\/[0-9a-f]{2}\/([0-9a-f]{64})$/.exec(key) ?? [];
  const found = contentKinds.find((each) => key.startsWith(contentPrefix(each)));
  return found !== undefined && id !== "" && contentKey(found, id) === key ? { kind: found, id } : undefined;
}

/** The name directly below `folder` that a key has more below; undefined when the key is not so deep, or elsewhere. */
export function folderBelow(folder: string, key: string): string | undefined {
  if (!key.startsWith(folder)) return undefined;
  const [name, ...below] = key.slice(folder.length).split("/");
  return below.length === 0 ? undefined : name;
}

const kindsOfControlKeys = [
  kindOfKey(/^epochs\/(?<epoch>\d+)\.json$/, z.object({ kind: kind("epoch"), epoch: number }), ({ epoch }) =>
    controlLayout.epoch(epoch),
  ),
  kindOfKey(
    /^failovers\/(?<epoch>\d+)\/(?<step>[^/.]+)\.(?<phase>started|done)\.(?<run>[^/]+)\.json$/,
    z.object({
      kind: kind("failover-step"),
      epoch: number,
      step: text,
      phase: z.enum(["started", "done"]),
      run: text,
    }),
    ({ epoch, phase, run, step }) => controlLayout.failoverStep(epoch, step, phase, run),
  ),
  kindOfKey(
    /^failovers\/(?<epoch>\d+)\/alive\.(?<run>[^/]+)\.(?<beat>\d+)\.json$/,
    z.object({ kind: kind("heartbeat"), epoch: number, run: text, beat: number }),
    ({ beat, epoch, run }) => controlLayout.heartbeat(epoch, run, beat),
  ),
  kindOfKey(
    /^restores\/(?<id>[^/]+)\.started\.json$/,
    z.object({ kind: kind("restore-started"), id: text }),
    ({ id }) => controlLayout.restore(id),
  ),
  kindOfKey(/^restores\/(?<id>[^/]+)\.done\.json$/, z.object({ kind: kind("restore-done"), id: text }), ({ id }) =>
    controlLayout.restoreDone(id),
  ),
  kindOfKey(
    /^restores\/(?<id>[^/]+)\.alive\.(?<sign>[^/.]+)\.json$/,
    z.object({ kind: kind("restore-alive"), id: text, sign: text }),
    ({ id, sign }) => controlLayout.restoreAlive(id, sign),
  ),
  kindOfKey(
    /^runs\/(?<day>[^/]+)\/(?<id>[^/.]+)\.(?<run>[^/.]+)\.json$/,
    z.object({ kind: kind("run"), day: text, id: text, run: text }),
    ({ day, id, run }) => `${controlLayout.runsOfDay(day)}${id}.${run}.json`,
  ),
  kindOfKey(
    /^snapshots\/(?<id>[^/]+)\.(?<phase>making|made|gone)\.json$/,
    z.object({ kind: kind("snapshot"), id: text, phase: z.enum(["making", "made", "gone"]) }),
    ({ id, phase }) => controlLayout.snapshot(id, phase),
  ),
  kindOfKey(
    /^standby\/states\/(?<hour>[^/]+)\/(?<id>[^/]+)\.(?<phase>begun|held)\.json$/,
    z.object({ kind: kind("standby-state"), hour: text, id: text, phase: z.enum(["begun", "held"]) }),
    ({ hour, id, phase }) => `${controlLayout.standbyStatesOf(hour)}${id}.${phase}.json`,
  ),
  kindOfKey(
    /^standby\/followed\/(?<hour>[^/]+)\/(?<id>[^/.]+)\.json$/,
    z.object({ kind: kind("followed-position"), hour: text, id: text }),
    ({ hour, id }) => `${controlLayout.standbyFollowedOf(hour)}${id}.json`,
  ),
  kindOfKey(
    /^scratch\/(?<process>[^/]+)\/(?<id>[^/.]+)\.(?<phase>begun|taken|unknown)\.json$/,
    z.object({ kind: kind("scratch-upload"), process: text, id: text, phase: z.enum(["begun", "taken", "unknown"]) }),
    ({ id, phase, process }) => controlLayout.scratchUpload(process, id, phase),
  ),
  kindOfKey(
    /^folders\/(?<epoch>\d+)\/(?<name>[^/]+)\.json$/,
    z.object({ kind: kind("restored-folder"), epoch: number, name: text }),
    ({ epoch, name }) => controlLayout.restoredFolder(epoch, name),
  ),
  kindOfKey(/^heals\/(?<id>[^/]+)\.json$/, z.object({ kind: kind("heal"), id: text }), ({ id }) =>
    controlLayout.heal(id),
  ),
  kindOfKey(/^kept\/(?<number>\d+)\.json$/, z.object({ kind: kind("kept"), number }), ({ number: at }) =>
    controlLayout.keptRecoveryPoints(at),
  ),
  kindOfKey(/^verifications\/(?<number>\d+)\.json$/, z.object({ kind: kind("verification"), number }), ({ number }) =>
    controlLayout.verification(number),
  ),
  kindOfKey(
    /^verifications\/slots\/(?<slot>\d+)\/(?<seconds>\d+)\.json$/,
    z.object({ kind: kind("verified-slot"), slot: number, seconds: number }),
    ({ seconds, slot }) => controlLayout.verifiedSlot(slot, seconds),
  ),
  kindOfKey(/^keys\/(?<id>[^/.]+)\.age$/, z.object({ kind: kind("key"), id: text }), ({ id }) => controlLayout.key(id)),
  kindOfKey(
    /^keys\/(?<id>[^/.]+)\.(?<holders>[^/.]+)\.age$/,
    z.object({ kind: kind("key-for"), id: text, holders: text }),
    ({ holders, id }) => controlLayout.keyFor(id, holders),
  ),
  kindOfKey(
    /^keys\/generations\/(?<number>\d+)\.json$/,
    z.object({ kind: kind("key-generation"), number }),
    ({ number: at }) => controlLayout.keyGeneration(at),
  ),
  kindOfKey(/^fences\/(?<epoch>\d+)\.json$/, z.object({ kind: kind("fence"), epoch: number }), ({ epoch }) =>
    controlLayout.fence(epoch),
  ),
  kindOfKey(/^openings\/(?<epoch>\d+)\.json$/, z.object({ kind: kind("opening"), epoch: number }), ({ epoch }) =>
    controlLayout.opening(epoch),
  ),
  kindOfKey(
    /^leases\/(?<epoch>\d+)\/(?<link>\d+)\.json$/,
    z.object({ kind: kind("lease-link"), epoch: number, link: number }),
    ({ epoch, link }) => controlLayout.leaseLink(epoch, link),
  ),
  kindOfKey(
    /^failovers\/(?<epoch>\d+)\/owner\.(?<turn>\d+)\.json$/,
    z.object({ kind: kind("failover-owner"), epoch: number, turn: number }),
    ({ epoch, turn }) => controlLayout.failoverOwner(epoch, turn),
  ),
  kindOfKey(
    /^failovers\/(?<epoch>\d+)\/divergence\.(?<run>[^/]+)\.json$/,
    z.object({ kind: kind("divergence"), epoch: number, run: text }),
    ({ epoch, run }) => controlLayout.divergence(epoch, run),
  ),
  kindOfKey(
    /^standby\/turns\/(?<turn>\d+)\.json$/,
    z.object({ kind: kind("standby-turn"), turn: number }),
    ({ turn }) => controlLayout.standbyTurn(turn),
  ),
  kindOfKey(
    /^standby\/captures\/(?<epoch>\d+)\/(?<number>\d+)\.json$/,
    z.object({ kind: kind("standby-capture"), epoch: number, number }),
    ({ epoch, number }) => controlLayout.standbyCapture(epoch, number),
  ),
  kindOfKey(
    /^prunes\/(?<number>\d+)\/(?<what>plan|begun|done)\.json$/,
    z.object({ kind: kind("prune"), number, what: z.enum(["plan", "begun", "done"]) }),
    ({ number: at, what }) =>
      ({ plan: controlLayout.prunePlan, begun: controlLayout.pruneBegun, done: controlLayout.pruneDone })[what](at),
  ),
  kindOfKey(
    /^prunes\/(?<number>\d+)\/parts\/(?<run>[^/]+)\.(?<part>\d+)\.json$/,
    z.object({ kind: kind("prune-part"), number, run: text, part: number }),
    ({ number: at, part, run }) => controlLayout.prunePart(at, run, part),
  ),
  kindOfKey(
    /^prunes\/(?<number>\d+)\/done\/(?<part>\d+)\.json$/,
    z.object({ kind: kind("prune-part-done"), number, part: number }),
    ({ number: at, part }) => controlLayout.prunePartDone(at, part),
  ),
  kindOfKey(/^prunes\/turns\/(?<turn>\d+)\.json$/, z.object({ kind: kind("prune-turn"), turn: number }), ({ turn }) =>
    controlLayout.pruneTurn(turn),
  ),
  kindOfKey(
    /^schedule\/(?<run>[^/]+)\/(?<turn>\d+)\.json$/,
    z.object({ kind: kind("scheduled-turn"), run: text, turn: number }),
    ({ run, turn }) => controlLayout.scheduledTurn(run, turn),
  ),
  kindOfKey(
    /^schedule\/(?<run>[^/]+)\/(?<turn>\d+)\.ended\.json$/,
    z.object({ kind: kind("scheduled-end"), run: text, turn: number }),
    ({ run, turn }) => controlLayout.scheduledEnd(run, turn),
  ),
  kindOfKey(
    /^schedule\/(?<run>[^/]+)\/(?<turn>\d+)\.alive\.(?<beat>\d+)\.json$/,
    z.object({ kind: kind("scheduled-beat"), run: text, turn: number, beat: number }),
    ({ beat, run, turn }) => controlLayout.scheduledBeat(run, turn, beat),
  ),
  kindOfKey(/^alerts\/(?<number>\d+)\.json$/, z.object({ kind: kind("alert"), number }), ({ number: at }) =>
    controlLayout.alert(at),
  ),
  kindOfKey(
    /^alerts\/(?<number>\d+)\.taken\.(?<receiver>[^/]+)\.json$/,
    z.object({ kind: kind("alert-taken"), number, receiver: text }),
    ({ number: at, receiver }) => controlLayout.alertTaken(at, receiver),
  ),
  kindOfKey(
    /^probes\/(?<id>[^/]+)\/(?<name>kept|raced|changed|tried)$/,
    z.object({ kind: kind("probe"), id: text, name: z.enum(["kept", "raced", "changed", "tried"]) }),
    ({ id, name }) => controlLayout.probe(id, name),
  ),
  kindOfKey(/^probes\/paged\/(?<index>\d+)$/, z.object({ kind: kind("paged-probe"), index: number }), ({ index }) =>
    controlLayout.pagedProbe(index),
  ),
] as const;

/** The object that a key of the control store names. */
export type ControlKey = NonNullable<ReturnType<(typeof kindsOfControlKeys)[number]>>;

/** Whether it was made to try a store out. */
export function isProbe(key: string): boolean {
  const kindOf = parseControlKey(key)?.kind;
  return kindOf === "probe" || kindOf === "paged-probe";
}

/** Whether this tool writes such a key in a store that holds a repository and its control records side by side. */
export function isOwnKey(key: string): boolean {
  const [, place, below = ""] = /^(repository|control)\/(.*)$/s.exec(key) ?? [];
  if (place === undefined) return isProbe(key);
  return (place === "control" ? parseControlKey(below) : parseStoreKey(keyBelowStream(below) ?? below)) !== undefined;
}

/** Takes a key of the control store apart; undefined for one that this tool does not write. */
export function parseControlKey(key: string): ControlKey | undefined {
  for (const parse of kindsOfControlKeys) {
    const parsed = parse(key);
    if (parsed !== undefined) return parsed;
  }
  return undefined;
}

/** The stores whose objects are signed; the witness is the third place of the leases, which both regions share. */
export type SignedStoreKind = "repository" | "control" | "witness";

/**
 * Objects that carry no signature. Some are named by keyed hashes or by the hash of their bytes: what is signed
 * names them. What a probe leaves says nothing.
 */
export const unsignedPlaces = {
  repository: /^((stream\/|healed\/)?(packs|trees|facts)|probes)\//,
  control: /^probes\//,
  witness: /^probes\//,
} as const satisfies Record<SignedStoreKind, RegExp>;

/** They decide which region serves, what it serves from, what is kept, and which keys are used from then on, and by whom. */
export const placesOfOperators = {
  repository: /^(stream\/)?recovery-points\/.*\/attestations\/(released|healed)-/,
  control: /^((epochs|fences|openings|failovers|kept|keys\/generations)\/|keys\/[^/.]+\.[^/]*\.age)/,
  witness: undefined,
} as const satisfies Record<SignedStoreKind, RegExp | undefined>;

/** The order that a key itself gives its object: an epoch, or the latest time that it names. */
export function orderIn(key: string): { readonly epoch?: number; readonly time?: number } {
  const [, epoch] = /^(?:epochs|fences|openings|failovers|folders|leases|standby\/captures)\/(\d+)/.exec(key) ?? [];
  if (epoch !== undefined) return { epoch: Number(epoch) };
  const ofIds = [...key.matchAll(/\d{8}T\d{9}Z-[0-9a-f]{8}/g)].map(([id]) => timeOfId(id)?.getTime() ?? Number.NaN);
  const ofFolders = [...key.matchAll(/\/(\d{4}-\d\d-\d\d)(T\d\d)?\//g)].map(([, day, hour]) =>
    Date.parse(`${day}${hour ?? "T00"}:00:00.000Z`),
  );
  const times = [...ofIds, ...ofFolders].filter((time) => !Number.isNaN(time));
  return times.length === 0 ? {} : { time: Math.max(...times) };
}

/** An epoch is the same in both control stores. */
export function isOfThePair(key: string): boolean {
  return key.startsWith(controlLayout.epochs);
}
