/**
 * Makes a region's Qdrant hold exactly one recovery point of its own bucket, whatever it holds: nothing yet, an earlier
 * recovery point, one that replication was cut off in, or something that somebody else changed. What stands is recognised and left
 * alone, what changed is sent as a difference, all else is restored whole; then it is compared, and recorded.
 */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import { markOfSegments, markOfSettings } from "../../domain/qdrant/shard-mark.ts";
import { type CapturedCollection, isExact, type RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { filesToSend } from "../../domain/recovery-points/shard-difference.ts";
import type { ShardTree } from "../../domain/recovery-points/shard-tree.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import type { Pack } from "../../domain/recovery-points/stored-content.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Progress } from "../../ports/progress.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import type { HeldCollection, StandbyState } from "../../repository/control/standby-records.ts";
import { unlessMissing } from "../../repository/record.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { compareWithObservation } from "../observe-collection.ts";
import { restoreCollection, waitUntilWhole } from "../restore/restore-collection.ts";
import { differenceArchive, readShardTree, wholeArchive } from "../restore/shard-archive.ts";
import {
  type CatchUpPlan,
  type CollectionWork,
  describe,
  planCatchUp as planFor,
  type ShardWork,
} from "./plan-catch-up.ts";
import { StandbyRestoreDetector } from "./standby-restore-detector.ts";
import { readNews, StandbyTurn } from "./standby-turn.ts";

const collectionsAtOnce = 4;
/** A drop on the source may have been a mistake: the standby's copy is kept for a while. */
const dropsFollowMs = 24 * 60 * 60_000;
/** While nothing changes, it is recorded so often that the standby still holds everything. */
const recordEveryMs = 15_000;
/** Whoever waits for this run to end must hear of it. */
const saidAgainEveryMs = 60_000;
const packsLookedAtOnce = 16;

export interface CatchUpRequest {
  /** The bucket and the control store of the target's region. */
  readonly repository: OpenRepository;
  /** The target's. */
  readonly region: string;
  readonly recoveryPoint: RecoveryPoint;
  /** The region's own Qdrant. */
  readonly target: VectorDatabase;
  /** Collections of the recovery point's names that replication did not make: refused with TARGET_NOT_EMPTY, or replaced. */
  readonly existing: "refuse" | "replace";
  /** When the newest capture began that found nothing newer than the recovery point; the recovery point's own time when left out. */
  readonly asOf?: Date;
  /** When the capture began that replication heard of last; `asOf` when left out. */
  readonly followedAt?: Date;
  /** When replication read all of the source the last time. */
  readonly fullAt?: Date;
  /** Compare all collections, or only those that were touched. */
  readonly compare: "changed" | "all";
  /** Of a run that brings the target up to date again and again; without it, this is a run of its own. */
  readonly turn?: StandbyTurn;
  /** Of a failover to the target: the epoch that it makes. */
  readonly failover?: number;
  readonly clock: Clock;
  readonly progress: Progress;
}

export interface CatchUpReport {
  readonly recoveryPoint: string;
  readonly time: string;
  readonly isExact: boolean;
  readonly collections: number;
  readonly shards: { readonly kept: number; readonly difference: number; readonly whole: number };
  /** Collections that were dropped and made again. */
  readonly replaced: readonly string[];
  /** On the target and not in the recovery point: dropped on the source since less than a day, or not replication's. */
  readonly extra: readonly string[];
  readonly dropped: readonly string[];
  /** Bytes of archives that Qdrant was sent. */
  readonly sentBytes: number;
  readonly samples: number;
  readonly canaries: number;
  readonly seconds: number;
}

function isWithin(begunAt: Date | string, now: Date, ms: number): boolean {
  return now.getTime() - new Date(begunAt).getTime() < ms;
}

/** What `catchUp` would do. Throws what it would throw before it changes anything. */
export async function planCatchUp(request: CatchUpRequest): Promise<CatchUpPlan> {
  const { news } = request.turn ?? (await readNews(request));
  return planFor(request, news, new StandbyRestoreDetector(request.target, news));
}

export async function catchUp(request: CatchUpRequest): Promise<CatchUpReport> {
  const { clock, recoveryPoint, progress, repository, target } = request;
  const begun = clock.now();
  const turn = request.turn ?? (await StandbyTurn.take(request));
  const plan = await planCatchUp({ ...request, turn });
  const work = new Work(request, turn);
  const isTouched = plan.collections.some(isChanging);
  if (isTouched) {
    for (const { captured } of plan.collections.filter((each) => each.do === "replace")) {
      await refuseUnlessStored(repository, captured);
    }
    await turn.begin(plan.collections.filter((each) => each.do !== "update").map(({ captured }) => captured.name));
    await freeNames(target, plan);
  }
  let samples = 0;
  let canaries = 0;
  const saying = setInterval(() => turn.sayAgain(), saidAgainEveryMs);
  try {
    await forEachConcurrently(collectionsAtOnce, plan.collections, async (each) => {
      if (isChanging(each)) {
        progress({ step: "apply", detail: each.captured.name });
        await work.apply(each);
      } else if (request.compare === "changed") return;
      await work.confirm(each);
      samples += each.captured.samples.length;
      canaries += each.captured.canaries.length;
    });
  } finally {
    clearInterval(saying);
  }
  await setAliases(target, recoveryPoint);
  const dropped = await dropGone(request, plan, begun);
  await work.record(plan, dropped);
  return {
    recoveryPoint: recoveryPoint.id,
    time: recoveryPoint.time,
    isExact: isExact(recoveryPoint),
    collections: recoveryPoint.collections.length,
    shards: { kept: kept(plan), ...work.shards },
    replaced: plan.collections.filter((each) => each.do === "replace").map(({ captured }) => captured.name),
    extra: [...plan.gone.map(({ name }) => name).filter((name) => !dropped.includes(name)), ...plan.foreign],
    dropped,
    sentBytes: work.sentBytes,
    samples,
    canaries,
    seconds: (clock.now().getTime() - begun.getTime()) / 1000,
  };
}

function kept({ collections }: CatchUpPlan): number {
  return collections.flatMap(({ shards }) => shards).filter((shard) => shard.do === "keep").length;
}

function isChanging(work: CollectionWork): boolean {
  return work.do !== "update" || work.shards.some((shard) => shard.do !== "keep");
}

class Work {
  readonly shards = { difference: 0, whole: 0 };
  sentBytes = 0;
  readonly #request: CatchUpRequest;
  readonly #turn: StandbyTurn;
  readonly #touched = new Set<string>();

  constructor(request: CatchUpRequest, turn: StandbyTurn) {
    this.#request = request;
    this.#turn = turn;
  }

  async apply({ captured, do: what, shards }: CollectionWork): Promise<void> {
    const { progress, repository, target } = this.#request;
    const { name } = captured;
    this.#touched.add(name);
    if (what === "replace") await target.deleteCollection(name);
    if (what !== "update") {
      await restoreCollection(
        { progress, repository, target, optimizes: false, sending: this.#sending },
        captured,
        name,
      );
      this.shards.whole += captured.shards.length;
    }
    // One after another: of shards that a collection in cluster mode is given at once, some stay empty.
    for (const shard of shards) await this.#applyShard(captured, shard);
    await waitUntilWhole(this.#request, name);
  }

  async #applyShard(captured: CapturedCollection, { do: what, owner, shard }: ShardWork): Promise<void> {
    const { repository, target } = this.#request;
    if (what === "keep") return;
    const tree = await readShardTree(repository, captured, shard);
    if (what !== "whole") {
      // The bucket may have been lost since, and filled again without it.
      const before = await unlessMissing(
        readShardTree(repository, captured, { id: shard.id, tree: { id: what.differenceFrom, size: 0 } }),
      );
      const present = await target.segments(captured.name, owner);
      // A tree of a collection snapshot names no segments: its log was replayed, and made the shard another one.
      const namesSegments = ({ segments }: ShardTree) => Object.keys(segments).length > 0;
      if (before !== undefined && present !== undefined && namesSegments(before) && namesSegments(tree)) {
        const files = filesToSend(before, tree, present);
        await target.applyDifference(captured.name, owner, this.#sending(differenceArchive(repository, tree, files)));
        this.shards.difference += 1;
        return;
      }
    }
    await target.restoreShard(captured.name, owner, this.#sending(wholeArchive(repository, tree)));
    this.shards.whole += 1;
  }

  /** Throws VERIFICATION_FAILED when it is not what the source held, also after it was restored whole. */
  async confirm(work: CollectionWork): Promise<void> {
    const { progress } = this.#request;
    const { captured } = work;
    let differences = await this.#differences(captured);
    if (differences.length > 0 && work.do === "update") {
      progress({ step: "apply", detail: `${captured.name} again, whole: ${differences[0]}` });
      if (this.#touched.size === 0) await this.#turn.begin([]);
      await this.apply({ ...work, shards: work.shards.map((shard) => ({ ...shard, do: "whole" as const })) });
      differences = await this.#differences(captured);
    }
    if (differences.length === 0) return;
    throw new DrError(
      "VERIFICATION_FAILED",
      `${captured.name} on the standby is not what was captured: ${differences.slice(0, 3).join("; ")}`,
      { hint: "do not serve from it; look at the log of its Qdrant, then replicate again" },
    );
  }

  async #differences(captured: CapturedCollection): Promise<string[]> {
    const { repository, target } = this.#request;
    return compareWithObservation(target, captured, await repository.keys.key(captured.key));
  }

  /** Counts, and does not end an archive when another run has taken over: Qdrant ignores one that does not end. */
  readonly #sending = (archive: AsyncIterable<Uint8Array>) => this.#guarded(archive);

  async *#guarded(archive: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const bytes of archive) {
      this.sentBytes += bytes.length;
      yield bytes;
    }
    await this.#turn.records.refuseUnlessMine();
  }

  async record(plan: CatchUpPlan, dropped: readonly string[]): Promise<void> {
    const { clock, recoveryPoint, target } = this.#request;
    const at = clock.now();
    const before = this.#turn.news.held;
    const asOf = this.#request.asOf?.toISOString() ?? recoveryPoint.time;
    const isSame = this.#touched.size === 0 && before?.recoveryPoint === recoveryPoint.id && dropped.length === 0;
    const exactAsOf = isExact(recoveryPoint) ? asOf : before?.exactAsOf;
    const fullAt = this.#request.fullAt?.toISOString() ?? before?.fullAt;
    const collections: HeldCollection[] = [];
    const histories: Record<string, string> = {};
    const owners = new Map<number, Parameters<VectorDatabase["restoreFingerprint"]>[0]>();
    await forEachConcurrently(collectionsAtOnce, plan.collections, async ({ captured }) => {
      const { name } = captured;
      const known = before?.collections.find((collection) => collection.name === name);
      const described = await describe(target, name);
      if (described === undefined) throw new DrError("VERIFICATION_FAILED", `${name} cannot be read on the standby`);
      for (const owner of described.owners) owners.set(owner.peer, owner);
      if (!this.#touched.has(name) && known !== undefined) {
        const { goneSince: _back, ...rest } = known;
        collections.push(rest);
        return;
      }
      const shards: HeldCollection["shards"] = [];
      for (const shard of captured.shards) {
        const owner = described.owners.find(({ id }) => id === shard.id);
        const segments = owner && (await target.segments(name, owner));
        if (segments === undefined) {
          throw new DrError("VERIFICATION_FAILED", `${name} shard ${shard.id} is not whole on the standby`);
        }
        shards.push({ id: shard.id, tree: shard.tree.id, segments: markOfSegments(segments) });
      }
      collections.push({ name, made: markOfSettings(captured, captured.shards), described: described.mark, shards });
    });
    collections.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const { goneSince, ...rest } of plan.gone) {
      if (!dropped.includes(rest.name)) collections.push({ ...rest, goneSince: goneSince ?? at.toISOString() });
    }
    for (const [peer, owner] of owners) histories[String(peer)] = await target.restoreFingerprint(owner);
    const state: StandbyState = {
      format: 1,
      at: at.toISOString(),
      recoveryPoint: recoveryPoint.id,
      region: recoveryPoint.region,
      epoch: recoveryPoint.epoch,
      asOf,
      followedAt: this.#request.followedAt?.toISOString() ?? asOf,
      isExact: isExact(recoveryPoint),
      ...(exactAsOf === undefined ? {} : { exactAsOf }),
      ...(fullAt === undefined ? {} : { fullAt }),
      processes: await target.processes(),
      fingerprints: histories,
      collections,
    };
    await this.#turn.records.refuseUnlessMine();
    if (!isSame || before === undefined || !isWithin(before.at, at, recordEveryMs)) {
      await this.#turn.records.hold(state);
      this.#turn.news = { held: state, making: [] };
    } else {
      // `at` stays that of the record, which decides when the next one is due.
      this.#turn.news = { held: { ...state, at: before.at }, making: [] };
    }
  }
}

/** An alias may have the name of a collection that is to be made. */
async function freeNames(target: VectorDatabase, { collections }: CatchUpPlan): Promise<void> {
  const made = new Set(collections.filter((each) => each.do === "make").map(({ captured }) => captured.name));
  for (const { alias } of await target.aliases()) if (made.has(alias)) await target.deleteAlias(alias);
}

/** Last: from its aliases on, it can be in use. */
async function setAliases(target: VectorDatabase, recoveryPoint: RecoveryPoint): Promise<void> {
  const present = await target.aliases();
  const isOfRecoveryPoint = (collection: string) => recoveryPoint.collections.some(({ name }) => name === collection);
  for (const wanted of recoveryPoint.aliases) {
    const standing = present.find(({ alias }) => alias === wanted.alias);
    if (standing?.collection !== wanted.collection) await target.createAlias(wanted);
  }
  for (const { alias, collection } of present) {
    const isWanted = recoveryPoint.aliases.some((wanted) => wanted.alias === alias);
    if (!isWanted && isOfRecoveryPoint(collection)) await target.deleteAlias(alias);
  }
}

async function dropGone(
  { progress, target }: CatchUpRequest,
  { gone, unfinished }: CatchUpPlan,
  now: Date,
): Promise<string[]> {
  const dropped: string[] = [];
  for (const name of unfinished) {
    progress({ step: "drop", detail: `${name}, which the source dropped before it was whole here` });
    await target.deleteCollection(name);
    dropped.push(name);
  }
  for (const { goneSince, name } of gone) {
    if (goneSince === undefined || isWithin(goneSince, now, dropsFollowMs)) continue;
    progress({ step: "drop", detail: `${name}, which the source dropped at ${goneSince}` });
    await target.deleteCollection(name);
    dropped.push(name);
  }
  return dropped;
}

/** What is dropped must be in the bucket whole. */
async function refuseUnlessStored(repository: OpenRepository, captured: CapturedCollection): Promise<void> {
  const packs = new Map<string, Pack>();
  for (const shard of captured.shards) {
    for (const pack of (await readShardTree(repository, captured, shard)).packs) packs.set(pack.id, pack);
  }
  await forEachConcurrently(packsLookedAtOnce, packs.values(), async ({ id, size }) => {
    const key = storeLayout.pack(id);
    for await (const found of repository.stores.repository.list(key)) {
      if (found.key === key && found.size === size) return;
    }
    throw new DrError("RECOVERY_POINT_INCOMPLETE", `${captured.name}: ${key} is not in the bucket as it should be`, {
      hint: "the standby's copy was left as it is; capture or copy the point again",
    });
  });
}
