/**
 * Carries out a plan that makes a Qdrant hold a recovery point: restores, failovers, the seeding of a standby and its following are
 * runs of this. Every change that it makes is in the plan.
 */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import { Semaphore } from "../../async/semaphore.ts";
import { isExact } from "../../domain/recovery-points/recovery-point.ts";
import { filesToSend } from "../../domain/recovery-points/shard-difference.ts";
import type { ShardTree } from "../../domain/recovery-points/shard-tree.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Progress } from "../../ports/progress.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import { unlessMissing } from "../../repository/record.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { type AliasSwap, freeNames, setAliases } from "./aliases.ts";
import { collectionsAtOnce } from "./collections-at-once.ts";
import { readSegments } from "./describe-collection.ts";
import type { ApplyJournal } from "./journal.ts";
import { MadeCollections } from "./made-collections.ts";
import { hasShardKeys, makeCollection, waitUntilWhole } from "./make-collection.ts";
import { type ApplyPlan, isMade, type PlannedCollection, type PlannedShard } from "./plan-apply.ts";
import { refuseUnlessStored } from "./refuse-unless-stored.ts";
import { differenceArchive, readShardTree, wholeArchive } from "./shard-archive.ts";
import {
  type Compared,
  compareWithCaptured,
  notAsCaptured,
  nothingCompared,
  withComparison,
} from "./verify-applied.ts";

/** How often a living run says so: other runs wait for it to end. */
const heartbeatEveryMs = 60_000;

export interface ApplyTools {
  readonly repository: OpenRepository;
  readonly target: VectorDatabase;
  readonly journal: ApplyJournal;
  readonly clock: Clock;
  readonly progress: Progress;
  /** What brings the compared collections further before anything leads to them; answers whether aliases are set by it. */
  readonly beforeAliases?: (() => Promise<{ readonly areAliasesSet: boolean }>) | undefined;
  /** Runs `clean` when the run is interrupted; the returned function withdraws it. */
  readonly onInterrupt?: ((clean: () => Promise<void>) => () => void) | undefined;
}

export interface ApplyReport extends Compared {
  readonly recoveryPoint: string;
  readonly time: string;
  readonly isExact: boolean;
  readonly collections: number;
  readonly shards: { readonly kept: number; readonly difference: number; readonly whole: number };
  /** Collections that were dropped and made again. */
  readonly replaced: readonly string[];
  /** On the target and not in the recovery point: dropped on the source since less than a day, or of somebody else. */
  readonly extra: readonly string[];
  readonly dropped: readonly string[];
  /** Bytes of archives that Qdrant was sent. */
  readonly sentBytes: number;
  /** The alias that was moved, and where it led before. */
  readonly swapped?: AliasSwap | undefined;
  readonly seconds: number;
}

export async function applyPlan(tools: ApplyTools, plan: ApplyPlan): Promise<ApplyReport> {
  const { clock, onInterrupt, target } = tools;
  const begun = clock.monotonic();
  const interruption = new AbortController();
  const run = new PlanRun(tools, plan, interruption.signal);
  const ended = Promise.withResolvers<void>();
  const withdraw = onInterrupt?.(async () => {
    interruption.abort(new DrError("INTERRUPTED", "the run was interrupted", { hint: "run it again" }));
    await ended.promise;
  });
  try {
    try {
      await run.applyCollections();
      await run.finish();
    } catch (error) {
      await run.takeBack();
      throw error;
    }
    // The end is recorded: from here on the collections are in use, and must not count as half-made, whatever is killed.
    if (plan.swap !== undefined) await target.createAlias({ alias: plan.swap.alias, collection: plan.swap.to });
  } finally {
    ended.resolve();
    withdraw?.();
  }
  return { ...run.report(), swapped: plan.swap, seconds: (clock.monotonic() - begun) / 1000 };
}

class PlanRun {
  readonly #tools: ApplyTools;
  readonly #plan: ApplyPlan;
  readonly #signal: AbortSignal;
  readonly #made: MadeCollections;
  /** A shard key that is made while other collections are holds all of them up, until Qdrant gives up (tried on 1.16.3). */
  readonly #definitions: Semaphore;
  readonly #touched = new Set<string>();
  readonly #dropped: string[] = [];
  /** How each shard came to hold its tree, by `shardKey`: one that was sent twice counts as it was sent last. */
  readonly #shards = new Map<string, PlannedShard["action"]>();
  #compared = nothingCompared;
  /** As many as collections, which have one shard each for the most part. */
  readonly #archives = new Semaphore(collectionsAtOnce);
  #sentBytes = 0;

  constructor(tools: ApplyTools, plan: ApplyPlan, signal: AbortSignal) {
    this.#tools = tools;
    this.#plan = plan;
    this.#signal = signal;
    this.#made = new MadeCollections(tools, plan);
    this.#definitions = new Semaphore(
      plan.collections.some(({ captured }) => hasShardKeys(captured)) ? 1 : collectionsAtOnce,
    );
    for (const { name, shards } of plan.collections) {
      for (const { action, shard } of shards) this.#shards.set(shardKey(name, shard.id), action);
    }
  }

  async applyCollections(): Promise<void> {
    const { journal, target } = this.#tools;
    const { aliases, collections } = this.#plan;
    const made = collections.filter(isMade);
    if (collections.some(({ action }) => action !== "keep")) {
      for (const { captured } of made.filter(({ action }) => action === "replace")) {
        await refuseUnlessStored(this.#tools.repository, captured);
      }
      if (made.some(({ action }) => action === "replace")) await this.#made.refuseAnotherServer();
      this.#made.begin();
      await journal.begin(made.map(({ name }) => name));
      const created = made.filter(({ action }) => action === "make");
      await journal.refuseUnlessMine();
      await freeNames(
        target,
        aliases,
        created.map(({ name }) => name),
      );
    }
    await this.#sayingSo(() => forEachConcurrently(collectionsAtOnce, collections, (each) => this.#bring(each)));
  }

  async #sayingSo<T>(work: () => Promise<T>): Promise<T> {
    const saying = setInterval(() => this.#tools.journal.heartbeat(), heartbeatEveryMs);
    try {
      return await work();
    } finally {
      clearInterval(saying);
    }
  }

  /** Applies one collection, and compares it as the plan says. */
  async #bring(planned: PlannedCollection): Promise<void> {
    this.#signal.throwIfAborted();
    if (planned.action !== "keep") await this.#apply(planned);
    else if (this.#plan.compare === "changed") return;
    await this.#confirm(planned);
  }

  async #apply(planned: PlannedCollection): Promise<void> {
    const { journal, progress, repository, target } = this.#tools;
    const { action, captured, name, shards } = planned;
    progress({ step: "apply", detail: name });
    this.#touched.add(name);
    if (action === "replace") {
      await journal.refuseUnlessMine();
      await target.deleteCollection(name);
      this.#made.removed(name);
    }
    if (isMade(planned)) {
      const { optimizes } = this.#plan;
      await makeCollection(
        {
          ...this.#tools,
          signal: this.#signal,
          archives: this.#archives,
          definitions: this.#definitions,
          sending: (archive) => this.#sending(archive),
          onCreation: (outcome) => this.#made.decided(name, outcome),
          onLoaded: () => this.#made.loaded(planned),
        },
        {
          captured,
          name,
          optimizes,
          archiveOf: async (shard) => wholeArchive(repository, await readShardTree(repository, captured, shard)),
        },
      );
      for (const { id } of captured.shards) this.#shards.set(shardKey(name, id), "whole");
    }
    // One after another: of shards that a collection in cluster mode is given at once, some stay empty.
    for (const shard of shards) await this.#applyShard(planned, shard);
    await waitUntilWhole({ ...this.#tools, signal: this.#signal }, name);
  }

  async #applyShard({ captured, name }: PlannedCollection, planned: PlannedShard): Promise<void> {
    const { repository, target } = this.#tools;
    const { action, replicas, shard } = planned;
    if (action === "keep") return;
    const key = shardKey(name, shard.id);
    const tree = await readShardTree(repository, captured, shard);
    const others = replicas.length > 1 ? "stay" : "follow";
    if (action === "difference") {
      // The bucket may have been lost since, and filled again without it.
      const before = await unlessMissing(
        readShardTree(repository, captured, { id: shard.id, tree: { id: planned.from } }),
      );
      const present = await readSegments(target, name, replicas);
      // A tree of a collection snapshot names no segments: its log was replayed, and made the shard another one.
      const namesSegments = ({ segments }: ShardTree) => Object.keys(segments).length > 0;
      if (before !== undefined && present !== undefined && namesSegments(before) && namesSegments(tree)) {
        for (const replica of present) {
          const files = filesToSend(before, tree, replica.segments);
          const archive = differenceArchive(repository, tree, files);
          await target.applyDifference(name, replica, this.#sending(archive), others);
        }
        this.#shards.set(key, "difference");
        return;
      }
    }
    for (const replica of replicas) {
      await target.restoreShard(name, replica, this.#sending(wholeArchive(repository, tree)), others);
    }
    this.#shards.set(key, "whole");
  }

  /** Throws VERIFICATION_FAILED when it is not what the source held, also after what stood there was restored whole. */
  async #confirm(planned: PlannedCollection): Promise<void> {
    const { journal, progress } = this.#tools;
    const tools = { ...this.#tools, signal: this.#signal };
    let comparison = await compareWithCaptured(tools, planned);
    if (comparison.differences.length > 0 && !isMade(planned)) {
      progress({ step: "apply", detail: `${planned.name} again, whole: ${comparison.differences[0]}` });
      if (this.#touched.size === 0) await journal.begin([]);
      const shards = planned.shards.map(({ replicas, shard }) => ({ replicas, shard, action: "whole" as const }));
      await this.#apply({ ...planned, action: "update", shards });
      comparison = await compareWithCaptured(tools, planned);
    }
    if (comparison.differences.length > 0) throw notAsCaptured(this.#plan.recoveryPoint, comparison.differences);
    this.#compared = withComparison(this.#compared, comparison);
  }

  /** Counts, and does not end an archive when another run has taken over: Qdrant ignores one that does not end. */
  async *#sending(archive: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const bytes of archive) {
      this.#signal.throwIfAborted();
      this.#sentBytes += bytes.length;
      yield bytes;
    }
    await this.#tools.journal.refuseUnlessMine();
  }

  /** All collections were compared: aliases, drops, and the record of the end. */
  async finish(): Promise<void> {
    const { beforeAliases, journal, progress, target } = this.#tools;
    const { aliases, collections, drop } = this.#plan;
    await journal.refuseUnlessMine();
    this.#signal.throwIfAborted();
    const brought = beforeAliases === undefined ? undefined : await this.#sayingSo(beforeAliases);
    this.#signal.throwIfAborted();
    // From its aliases on, a collection can be in use.
    this.#made.keep();
    if (brought?.areAliasesSet !== true) {
      const present = brought && (await target.collections());
      const wanted = aliases.wanted.filter(({ collection }) => present?.includes(collection) !== false);
      await setAliases(
        target,
        { ...aliases, wanted },
        collections.map(({ name }) => name),
      );
    }
    for (const { because, name } of drop) {
      await journal.refuseUnlessMine();
      progress({ step: "drop", detail: `${name}: ${because}` });
      await target.deleteCollection(name);
      this.#dropped.push(name);
    }
    await journal.end({ touched: this.#touched, dropped: this.#dropped });
  }

  async takeBack(): Promise<void> {
    await this.#made.takeBack();
  }

  report(): Omit<ApplyReport, "seconds" | "swapped"> {
    const { collections, foreign, gone, recoveryPoint } = this.#plan;
    const actions = [...this.#shards.values()];
    const countOf = (action: PlannedShard["action"]) => actions.filter((each) => each === action).length;
    return {
      recoveryPoint: recoveryPoint.id,
      time: recoveryPoint.time,
      isExact: isExact(recoveryPoint),
      collections: collections.length,
      shards: { kept: countOf("keep"), difference: countOf("difference"), whole: countOf("whole") },
      replaced: collections.filter(({ action }) => action === "replace").map(({ name }) => name),
      extra: [...gone.map(({ name }) => name), ...foreign],
      dropped: this.#dropped,
      sentBytes: this.#sentBytes,
      ...this.#compared,
    };
  }
}

function shardKey(collection: string, shard: number): string {
  return `${shard} ${collection}`;
}
