/**
 * Keeps a standby a moment behind by the journal of the active region's gate: a capture is what it begins from, and what it goes back to
 * for collections of which the journal does not tell.
 */
import { newestEpoch } from "../../domain/roles/epoch.ts";
import { DrError, hasCode } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Progress } from "../../ports/progress.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import { withFacts } from "../../repository/content/collection-facts.ts";
import { EpochReader } from "../../repository/control/epochs.ts";
import { type FollowedState, readFollowed } from "../../repository/control/followed-records.ts";
import { readFollowedStandby } from "../../repository/control/followed-standby.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { pause } from "../../time/pause.ts";
import { aliasesAmong } from "../apply/aliases.ts";
import { applyPlan } from "../apply/apply-plan.ts";
import { planApply } from "../apply/plan-apply.ts";
import { enableOptimizers } from "../replicate/enable-optimizers.ts";
import { cacheBytes } from "../replicate/replication.ts";
import { SourceCapturer, type SourceCapturerRequest } from "../replicate/source-capturer.ts";
import { StandbyApplier } from "../replicate/standby-applier.ts";
import type { StandbyTurn } from "../replicate/standby-turn.ts";
import { type BasePosition, basePosition } from "./base-position.ts";
import { JournalFollower } from "./journal-follower.ts";

/** How often the store is asked for the next object. */
const pollMs = 50;
/** How long it follows before it reports, and looks whether the source is the active region still. */
const reportEveryMs = 2_000;

export interface JournalReplicationRequest
  extends Omit<SourceCapturerRequest, "repository" | "tiers" | "isSwitchover"> {
  readonly standby: {
    readonly region: string;
    readonly database: VectorDatabase;
    readonly repository: OpenRepository;
  };
  /** Collections of the standby that replication did not make and the source has, too. */
  readonly existing: "refuse" | "replace";
  readonly clock: Clock;
  readonly progress: Progress;
}

export interface FollowedReport {
  /** What the standby began from. */
  readonly recoveryPoint: string;
  /** Number of the newest object that is applied. */
  readonly position: number;
  readonly asOf: string;
  /** How old the oldest write was when it was applied, of those since the last report; absent when there was none. */
  readonly lagSeconds?: number | undefined;
  readonly entries: number;
  /** Collections that are older than the rest, until a capture brings them. */
  readonly unreconciled: readonly string[];
}

export class JournalReplication {
  readonly #request: JournalReplicationRequest;
  readonly #repository: OpenRepository;
  readonly #capturing: SourceCapturer;
  readonly #epochs: EpochReader;
  #applying: StandbyApplier | undefined;
  #follower: JournalFollower | undefined;

  constructor(request: JournalReplicationRequest) {
    this.#request = request;
    this.#repository = request.standby.repository.remembering(cacheBytes).withStream();
    this.#capturing = new SourceCapturer({ ...request, repository: this.#repository });
    this.#epochs = new EpochReader(this.#repository.stores.control);
  }

  /** Follows for a moment, or until the signal. Throws as replication by captures does. */
  async follow(signal: AbortSignal): Promise<FollowedReport> {
    const { clock } = this.#request;
    await this.#capturing.refuseUnlessActive();
    const follower = await this.#begun(signal);
    follower.epoch = await this.#epoch();
    const untilMs = clock.monotonic() + reportEveryMs;
    let [entries, lagSeconds] = [0, undefined as number | undefined];
    try {
      while (clock.monotonic() < untilMs && !signal.aborted) {
        const step = await follower.step();
        if (step === undefined) await pause(clock, pollMs, signal);
        else {
          entries += step.entries;
          lagSeconds = Math.max(lagSeconds ?? 0, step.lagSeconds);
        }
        if (follower.state.unreconciled.length > 0) await this.#reconcile(follower, signal);
      }
    } catch (error) {
      // Another run may be ahead of what this one remembers; and behind a gap nothing leads but a capture.
      this.#follower = undefined;
      if (hasCode(error, "OBJECT_NOT_FOUND", "OBJECT_CORRUPT")) this.#isLost = true;
      throw error;
    }
    if (signal.aborted) await follower.close();
    const { asOf, position, recoveryPoint, unreconciled } = follower.state;
    const names = unreconciled.map(({ collection }) => collection);
    return { recoveryPoint, position: position.number, asOf, lagSeconds, entries, unreconciled: names };
  }

  /** What was followed cannot be gone on with. */
  #isLost = false;

  async #begun(signal: AbortSignal): Promise<JournalFollower> {
    this.#follower ??= await this.#begin(signal);
    return this.#follower;
  }

  async #begin(signal: AbortSignal): Promise<JournalFollower> {
    const { clock, existing, source, standby } = this.#request;
    const { control } = this.#repository.stores;
    const epoch = await this.#epoch();
    const followed = await readFollowed(control);
    // Not what it made in an epoch that has ended: since then it may have been clients'.
    const isOwn = followed?.region === source.region && followed.epoch === epoch;
    const known = await readFollowedStandby(control, { region: source.region, epoch }, clock.now());
    this.#applying ??= new StandbyApplier({
      ...this.#request,
      // What it made while it followed, no recovery point tells.
      existing: isOwn ? "replace" : existing,
      repository: this.#repository,
      region: standby.region,
      database: standby.database,
    });
    const goesOnFrom = known !== undefined && !this.#isLost && (await this.#holdsStill(known)) ? known : undefined;
    // Before the turn, which ends another replication: not where there is no journal.
    const base = goesOnFrom === undefined ? await this.#basePosition() : undefined;
    const turn = await this.#applying.turn();
    if (goesOnFrom !== undefined) return this.#followerFrom(goesOnFrom, turn);
    if (base === undefined) throw new Error("neither a base nor a state to go on from");
    const state = await this.#capturing.capture(base.isExact ? "provisional" : "soon", signal, base.position);
    await this.#applying.apply(state);
    const { recoveryPoint } = state;
    await enableOptimizers({ recoveryPoint, repository: this.#repository, target: standby.database });
    const begun: FollowedState = {
      format: 1,
      at: clock.now().toISOString(),
      region: source.region,
      epoch: await this.#epoch(),
      recoveryPoint: recoveryPoint.id,
      position: base.position,
      asOf: state.asOf.toISOString(),
      unreconciled: (recoveryPoint.missing ?? [])
        .filter(({ kind }) => kind === "qdrant")
        .map(({ because, name }) => ({ collection: name, reason: because })),
      strictModes: [],
      collections: [],
    };
    const follower = this.#followerFrom(begun, turn);
    await follower.reconciled(
      recoveryPoint.collections
        .map(({ name }) => name)
        .filter((name) => !begun.unreconciled.some((each) => each.collection === name)),
      base.position,
    );
    this.#isLost = false;
    return follower;
  }

  #followerFrom(state: FollowedState, turn: StandbyTurn): JournalFollower {
    const { clock, source, standby } = this.#request;
    return new JournalFollower(
      {
        reader: this.#repository.journalOf(source.region),
        target: standby.database,
        control: this.#repository.stores.control,
        refuseUnlessMine: () => turn.records.refuseUnlessMine(),
        clock,
      },
      state,
    );
  }

  /** A standby that lost its disk holds nothing; the journal goes on from where it was. */
  async #holdsStill({ collections }: FollowedState): Promise<boolean> {
    const present = new Set(await this.#request.standby.database.collections());
    return collections.every((name) => present.has(name));
  }

  async #basePosition(): Promise<BasePosition> {
    const { database, region } = this.#request.source;
    const base = await basePosition({ store: this.#repository.history.stores.repository, region, database });
    if (base !== undefined) return base;
    throw new DrError("RECOVERY_POINT_NOT_FOUND", `there is no journal of ${region} in this region's repository`, {
      hint: `turn the journal of ${region}'s gate on, or replicate without --journal`,
    });
  }

  async #epoch(): Promise<number> {
    return newestEpoch(await this.#epochs.follow())?.epoch ?? 0;
  }

  /** Brings what the journal does not tell of by a capture, and goes on from where that began. */
  async #reconcile(follower: JournalFollower, signal: AbortSignal): Promise<void> {
    const { clock, progress, standby } = this.#request;
    const reasons = follower.state.unreconciled;
    for (const { collection, reason } of reasons) {
      progress({ step: "journal", detail: `${collection} is brought by a capture: ${reason}` });
    }
    const base = await this.#basePosition();
    const { recoveryPoint } = await this.#capturing.capture(
      base.isExact ? "provisional" : "soon",
      signal,
      base.position,
    );
    const wanted = recoveryPoint.collections.filter(({ name }) =>
      reasons.some(({ collection }) => collection === name),
    );
    const names = wanted.map(({ name }) => name);
    const turn = await this.#applying?.turn();
    const captured = await withFacts(this.#repository, wanted);
    const plan = await planApply({
      recoveryPoint,
      target: standby.database,
      collections: captured.map((each) => ({ captured: each, name: each.name })),
      existing: "replace",
      aliases: { wanted: aliasesAmong(recoveryPoint, names), standing: "keep" },
      known: {
        unfinishedAmong: async () => [],
        refusalOf: (taken) => new DrError("TARGET_NOT_EMPTY", `${taken.join(", ")} is there already`),
      },
      compare: "changed",
      optimizes: true,
      onFailure: "leave",
      clock,
    });
    const journal = {
      begin: async (making: readonly string[]) => turn?.begin(making),
      heartbeat: () => turn?.heartbeat(),
      loaded: () => undefined,
      refuseUnlessMine: async () => turn?.records.refuseUnlessMine(),
      end: async () => undefined,
      endInFailure: async () => undefined,
    };
    await applyPlan({ clock, journal, progress, repository: this.#repository, target: standby.database }, plan);
    await follower.reconciled(names, base.position);
  }
}
