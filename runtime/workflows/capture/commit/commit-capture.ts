/** Asks again what was asked before the capture, and commits its recovery point with one create-only write. */
import { forEachConcurrently } from "../../../async/for-each-concurrently.ts";
import { canonicalJson } from "../../../domain/exact-json.ts";
import type { JournalPosition } from "../../../domain/journal/position.ts";
import { digestOfSegments } from "../../../domain/qdrant/segment-manifest.ts";
import type { CapturePlan, ShardResult } from "../../../domain/recovery-points/capture-plan.ts";
import { errorOf, missingInWords } from "../../../domain/recovery-points/missing.ts";
import type {
  CapturedCollection,
  DataKind,
  ImportedSnapshot,
  Missing,
  RecoveryPoint,
} from "../../../domain/recovery-points/recovery-point.ts";
import { DrError, hasCode } from "../../../errors.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { ObjectStoreReader } from "../../../ports/object-store.ts";
import type { Progress } from "../../../ports/progress.ts";
import type { ShardPlacement, VectorDatabase } from "../../../ports/qdrant.ts";
import { doubtMade } from "../../../repository/catalog/attest.ts";
import { BucketView } from "../../../repository/catalog/bucket-view.ts";
import { objectsNeeded } from "../../../repository/content/objects-needed.ts";
import { newestRestore, readRestores } from "../../../repository/control/restore-records.ts";
import { refusePruned } from "../../../repository/prune/prune-sight.ts";
import type { OpenRepository } from "../../../repository/repository.ts";
import { collectionsAtOnce } from "../../concurrency.ts";
import { confirmFacts } from "../../observe-collection.ts";
import type { CaptureFacts } from "../capture-facts.ts";
import { isGone } from "../collection-existence.ts";
import type { CollectionFailures } from "../collection-failures.ts";
import type { PlannedCapture } from "../planned-capture.ts";
import type { ShardPlacements } from "../shard-placements.ts";
import { asHeld, type JoinedCollection, type JoinedParts, standInFor, timeOf } from "./join-parts.ts";
import type { ContradictionQuarantine } from "./quarantine-contradicted.ts";

/** Together with what is remembered of a base (find-base.ts), less than the hour for which a stream keeps what was the newest. */
const lastsInStreamMs = 25 * 60_000;

export interface CommitContext {
  readonly clock: Clock;
  /** Where the restores of the region are recorded. */
  readonly control: ObjectStoreReader;
  readonly database: VectorDatabase;
  readonly facts: CaptureFacts;
  readonly failures: CollectionFailures;
  readonly placements: ShardPlacements;
  readonly progress: Progress;
  readonly repository: OpenRepository;
  readonly toolVersion: string;
  /** Commit a recovery point without points, though the last one has some. */
  readonly allowEmpty: boolean;
  /** This run chooses itself what it reads: what it leaves out must not be what clients are led to meanwhile. */
  readonly choosesCollections: boolean;
  /** This run captures again and again: what it cannot read now is told, and waited for. */
  readonly isFollowing: boolean;
  /** Where the region's journal was before the capture. */
  readonly journal: JournalPosition | undefined;
  /** The snapshots that were captured, in the place of the region. */
  readonly imported: readonly ImportedSnapshot[] | undefined;
}

/** The Qdrant part of a recovery point. */
interface ConfirmedCollections {
  readonly collections: readonly CapturedCollection[];
  readonly missing: readonly Missing[];
  /** How many of them were read now. */
  readonly read: number;
}

export class CaptureCommitter {
  readonly #context: CommitContext;
  readonly #quarantine: ContradictionQuarantine;

  constructor(context: CommitContext, quarantine: ContradictionQuarantine) {
    this.#context = context;
    this.#quarantine = quarantine;
  }

  async commit({ base, before, plan }: PlannedCapture, joined: JoinedParts): Promise<RecoveryPoint> {
    const { allowEmpty, clock, database, choosesCollections, facts, imported, journal, repository, toolVersion } =
      this.#context;
    const { folders } = joined;
    const isOfQdrant = plan.kinds.includes("qdrant");
    const [confirmed, allAliases] = isOfQdrant
      ? await Promise.all([this.#confirmCollections(joined, { before, plan }), database.aliases()])
      : [{ collections: [], missing: [], read: 0 }, []];
    const unreadable = [...confirmed.missing, ...joined.missing.filter(({ kind }) => kind !== "qdrant")];
    const lacked = new Set(confirmed.missing.map(({ name }) => name));
    const carried = joined.carried.filter(({ name }) => !lacked.has(name));
    if (choosesCollections) refuseNewlyLedToCarried(allAliases, carried, before);
    refuseMissingFolders(plan, joined);
    const kinds = this.#heldKinds(plan, confirmed, unreadable);
    const missing = unreadable.map(({ heldAsOf, ...each }) =>
      kinds.includes(each.kind) ? { ...each, heldAsOf } : each,
    );
    const holdsQdrant = kinds.includes("qdrant");
    const collections = holdsQdrant ? [...confirmed.collections] : [];
    const aliases = holdsQdrant ? allAliases : [];
    for (const each of missing) this.#context.progress({ step: "missing", detail: missingInWords(each) });
    const recoveryPoint: RecoveryPoint = {
      format: 1,
      id: plan.recoveryPoint,
      type: plan.type,
      kinds,
      base: before?.id,
      region: plan.region,
      epoch: plan.epoch,
      startedAt: plan.at,
      time: timeOf(plan, collections),
      finishedAt: clock.now().toISOString(),
      qdrantVersion: holdsQdrant ? plan.qdrantVersion : undefined,
      toolVersion,
      collections,
      aliases,
      folders: folders.filter(({ kind }) => kinds.includes(kind)),
      ...(missing.length === 0 ? {} : { missing }),
      ...(plan.excluded === undefined || plan.excluded.length === 0 ? {} : { excluded: plan.excluded }),
      // What is carried over is older than the position.
      ...(journal === undefined || carried.length > 0 || missing.length > 0 ? {} : { journal }),
      ...(imported === undefined ? {} : { imported: [...imported] }),
    };
    await this.#refuseAfterRestore(plan.restore);
    const unread = new Set([...joined.carried.map(({ name }) => name), ...lacked, ...(plan.excluded ?? [])]);
    if (holdsQdrant && !allowEmpty) refuseEmptied(recoveryPoint, before, unread);
    await this.#quarantine.quarantine(plan, joined);
    const refusePrunedSince = () => this.#refusePruned(plan, recoveryPoint);
    await facts.store();
    await refusePrunedSince();
    // What is imported is of another time than those that were captured.
    const older = imported === undefined ? new Set(base.recoveryPoints.values()) : [];
    await repository.createRecoveryPoint(recoveryPoint, [...older]);
    await this.#doubtUnless(async () => {
      await refusePrunedSince();
      await this.#refuseLost(plan, recoveryPoint);
    }, recoveryPoint);
    return recoveryPoint;
  }

  /** A prune that began before the recovery point could be seen may remove what it builds on. */
  async #refusePruned({ prunes }: CapturePlan, recoveryPoint: RecoveryPoint): Promise<void> {
    const { repository } = this.#context;
    const sight = prunes ?? { newest: 0, isOpen: false };
    await refusePruned(repository.stores.control, sight, () => objectsNeeded(repository, recoveryPoint));
  }

  /** A stream is emptied without waiting for a run that was frozen: what that began to build on may be gone. */
  async #refuseLost({ at }: CapturePlan, { id }: RecoveryPoint): Promise<void> {
    const { clock, repository } = this.#context;
    if (repository.history === repository) return;
    if (Math.abs(clock.now().getTime() - Date.parse(at)) <= lastsInStreamMs) return;
    const { reasons, state } = await (await BucketView.read(repository)).entry({ id, attestations: [] });
    if (state !== "incomplete") return;
    throw new DrError("CAPTURE_INCOMPLETE", `what it builds on was deleted meanwhile: ${reasons[0]}`, {
      hint: "run it again: it then builds on what is there",
    });
  }

  /** It is there by now, and must not be taken for one that is whole. */
  async #doubtUnless(refuse: () => Promise<void>, recoveryPoint: RecoveryPoint): Promise<void> {
    const { clock, progress, repository } = this.#context;
    try {
      await refuse();
    } catch (error) {
      if (!hasCode(error, "CAPTURE_INCOMPLETE")) throw error;
      await doubtMade(repository, recoveryPoint, { at: clock.now(), because: error.message, progress });
      throw error;
    }
  }

  /** Those that are there now, as they were captured, in the order of their names. */
  async #confirmCollections(
    { carried, collections: read, missing: unread }: JoinedParts,
    { before, plan }: Pick<PlannedCapture, "before" | "plan">,
  ): Promise<ConfirmedCollections> {
    const { database, failures } = this.#context;
    const present = new Set(await database.collections());
    const isThere = async (name: string) => present.has(name) || !(await isGone(database, name));
    const collections: CapturedCollection[] = [];
    const missing: Missing[] = [];
    await forEachConcurrently(collectionsAtOnce, read, async (collection) => {
      const { name } = collection.planned;
      if (!(await isThere(name))) return;
      try {
        collections.push(await this.#confirm(collection));
      } catch (error) {
        const lacking = await failures.judge(name, error);
        if (lacking !== undefined) missing.push(lacking);
      }
    });
    const readNow = collections.length;
    const standIns = missing.map(({ name }) => ({ name, held: standInFor(name, plan, before) }));
    collections.push(...standIns.flatMap(({ held }) => held ?? []));
    for (const collection of carried) if (await isThere(collection.name)) collections.push(collection);
    const lacking = missing.map((each) => asHeld(each, standIns.find(({ name }) => name === each.name)?.held));
    for (const each of unread) if (each.kind === "qdrant" && (await isThere(each.name))) lacking.push(each);
    const inOrder = (a: { readonly name: string }, b: { readonly name: string }) => (a.name < b.name ? -1 : 1);
    return { collections: collections.sort(inOrder), missing: lacking.sort(inOrder), read: readNow };
  }

  /**
   * A kind of data of which nothing could be read is not in the recovery point: it would stand for what is there and be restored as
   * the newest. Throws what came in the way when nothing is left.
   */
  #heldKinds(plan: CapturePlan, { collections, read }: ConfirmedCollections, missing: readonly Missing[]): DataKind[] {
    const isLost = (name: string, kind: DataKind) =>
      missing.some((each) => each.kind === kind && each.name === name && each.path === undefined);
    const isHeld = (kind: DataKind) => {
      const lacks = missing.some((each) => each.kind === kind);
      if (kind === "qdrant") return !lacks || read > 0 || (this.#context.isFollowing && collections.length > 0);
      const folders = plan.folders.filter((folder) => folder.kind === kind);
      return folders.length === 0 || folders.some(({ name }) => !isLost(name, kind));
    };
    const held = plan.kinds.filter(isHeld);
    const [first] = missing;
    if (held.length > 0 || first === undefined) return held;
    throw errorOf(first);
  }

  async #confirm({ before, isUnchanged, planned, shards: results }: JoinedCollection): Promise<CapturedCollection> {
    const { facts, key, lapsed, name, pointsBefore, shards: plannedShards } = planned;
    const isImported = this.#context.imported !== undefined;
    // Of what was acknowledged before a snapshot was made, nobody knows whether it is in it.
    const shards = results.map(({ shard }) => (isImported ? { ...shard, isExact: false } : shard));
    if (canonicalJson(shards.map(({ id, key }) => ({ id, key }))) !== canonicalJson(plannedShards)) {
      throw new DrError("CAPTURE_INCOMPLETE", `${name}: not every shard was captured`, {
        hint: "capture again",
      });
    }
    // What was observed of it holds: nothing has changed since.
    const observed =
      isUnchanged && before?.isUndisturbed === true
        ? { pointsBefore: before.pointsBefore, pointsAfter: before.pointsAfter, lapsed, isUndisturbed: true as const }
        : { pointsBefore, ...(await this.#observeAgain(planned, results)) };
    const { lapsed: lapsedNow, ...points } = observed;
    return { name, key, facts, ...(lapsedNow === undefined ? {} : { lapsed: lapsedNow }), ...points, shards };
  }

  async #observeAgain(
    planned: CapturePlan["collections"][number],
    captured: readonly ShardResult[],
  ): Promise<Pick<CapturedCollection, "isUndisturbed" | "lapsed" | "pointsAfter">> {
    const { key, lapsed, name } = planned;
    const { database, placements, repository } = this.#context;
    const facts = await this.#context.facts.read(planned);
    const { config, payloadIndexes } = facts;
    const [observed, now, replicas] = await Promise.all([
      repository.keys.key(key).then((opened) => confirmFacts(database, name, opened, { facts, lapsed })),
      database.describe(name),
      placements.current(name),
    ]);
    const shards = new Map(replicas.map((shard) => [shard.id, { id: shard.id, key: shard.key }]));
    const isSame =
      canonicalJson({ config: now.config, payloadIndexes: now.payloadIndexes }) ===
        canonicalJson({ config, payloadIndexes }) &&
      canonicalJson([...shards.values()].sort((a, b) => a.id - b.id)) === canonicalJson(planned.shards);
    if (isSame) {
      const isUndisturbed = await this.#isUndisturbed(name, captured, replicas);
      return { ...observed, ...(isUndisturbed ? { isUndisturbed } : {}) };
    }
    // A configuration that changed meanwhile belongs to other data than that which was read.
    throw new DrError("CAPTURE_INCOMPLETE", `${name} was changed while it was captured`, {
      hint: "capture again",
    });
  }

  /** Asked last: whether all shards are still what was captured, of which the answers are then. */
  async #isUndisturbed(
    name: string,
    captured: readonly ShardResult[],
    replicas: readonly ShardPlacement[],
  ): Promise<boolean> {
    const { database } = this.#context;
    for (const { segments, shard } of captured) {
      const owner = replicas.find(({ id, peer }) => id === shard.id && peer === shard.peer);
      // Who cannot tell does not vouch for it.
      const now = owner && (await database.segments(name, owner).catch(() => undefined));
      if (now === undefined || digestOfSegments(now) !== segments) return false;
    }
    return true;
  }

  /** A restore into this region while it was captured mixes two histories in one recovery point. */
  async #refuseAfterRestore(restore: string | undefined): Promise<void> {
    if (newestRestore(await readRestores(this.#context.control)) === restore) return;
    throw new DrError("LINEAGE_BROKEN", "something was restored into this region during the capture", {
      hint: "capture again when the restore is done",
    });
  }
}

/** Clients that an alias led elsewhere during the capture find there what was captured before it led there. */
function refuseNewlyLedToCarried(
  aliases: RecoveryPoint["aliases"],
  carried: readonly CapturedCollection[],
  base: RecoveryPoint | undefined,
): void {
  const isKnown = ({ alias, collection }: RecoveryPoint["aliases"][number]) =>
    base?.aliases.some((known) => known.alias === alias && known.collection === collection) ?? false;
  const moved = aliases.find((each) => !isKnown(each) && carried.some(({ name }) => name === each.collection));
  if (moved === undefined) return;
  throw new DrError(
    "CAPTURE_INCOMPLETE",
    `the alias ${moved.alias} was led to ${moved.collection} during the capture, which did not read it; nothing was committed`,
    { hint: "capture again" },
  );
}

/** One that is neither captured nor told to be missing. */
function refuseMissingFolders(plan: CapturePlan, { folders, missing }: JoinedParts): void {
  for (const { kind, name } of plan.folders) {
    if ([...folders, ...missing].some((each) => each.kind === kind && each.name === name)) continue;
    throw new DrError("CAPTURE_INCOMPLETE", `${kind} ${name} was not captured; nothing was committed`);
  }
}

/** A Qdrant that lost its disk answers like an empty one. What was not read says nothing of that. */
function refuseEmptied(
  recoveryPoint: RecoveryPoint,
  base: RecoveryPoint | undefined,
  unread: ReadonlySet<string>,
): void {
  const count = ({ collections }: RecoveryPoint) =>
    collections.filter(({ name }) => !unread.has(name)).reduce((sum, { pointsAfter }) => sum + pointsAfter, 0);
  if (base === undefined || count(base) === 0 || count(recoveryPoint) > 0) return;
  throw new DrError(
    "LINEAGE_BROKEN",
    `${unread.size === 0 ? "Qdrant holds" : "the collections that were read hold"} no points, and the last recovery point holds ${count(base)} of them; nothing was committed`,
    {
      hint: "see whether it lost its disk; if it was emptied on purpose, repeat with --allow-empty",
    },
  );
}
