/**
 * Watches a region for its metrics: asks its stores, its Qdrant and its gate again and again, each by a clock of its own, and keeps what it
 * found. Nothing is written, and whoever reads the view waits for nothing.
 */
import { assessReadiness, type Objectives, type Readiness } from "../../domain/health/readiness.ts";
import type {
  KnownEpoch,
  KnownRecoveryPoints,
  RegionView,
  Source,
  SourceState,
} from "../../domain/monitoring/metrics.ts";
import { missingFrom } from "../../domain/recovery-points/missing.ts";
import { believedTime } from "../../domain/recovery-points/order.ts";
import { captureTypes } from "../../domain/recovery-points/recovery-point.ts";
import { coverageOf, type Rotation } from "../../domain/recovery-points/rotation.ts";
import { effectiveRole, newestEpoch } from "../../domain/roles/epoch.ts";
import { DrError, hasCode } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { GateState } from "../../ports/gate.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import type { Progress } from "../../ports/progress.ts";
import {
  type NewestRecoveryPoints,
  NewestRecoveryPointsReader,
} from "../../repository/catalog/newest-recovery-points.ts";
import { never } from "../../repository/catalog/read-catalog.ts";
import { readEpochs } from "../../repository/control/epochs.ts";
import { readStandbyState, type StandbyState } from "../../repository/control/standby-records.ts";
import { readRotation } from "../../repository/control/verification-records.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { pause } from "../../time/pause.ts";
import { unreadableReporter } from "../name-unreadable.ts";
import { gatherReadiness } from "../status/gather-readiness.ts";
import {
  type ObservedRegion,
  restorableAsOf,
  type Timeouts,
  patience as usualPatience,
} from "../status/observed-region.ts";
import { type RunHistories, WatchedRuns } from "./watched-runs.ts";
import { WatchedSource } from "./watched-source.ts";

export interface MonitorRequest {
  readonly region: ObservedRegion;
  readonly objectives: Objectives;
  /** The other region, and its control store where that is known; undefined where the region is alone. */
  readonly peer: { readonly name: string; readonly control: ObjectStoreReader | undefined } | undefined;
  /** From the begin of a look at something to that of the next. */
  readonly everySeconds: number;
  readonly toolVersion: string;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly patience?: Timeouts;
}

/** Judging readiness reads how large the newest recovery point is, whole: not as often. */
const readinessEverySeconds = 300;

interface InControl {
  readonly epoch: KnownEpoch;
  readonly held: StandbyState | undefined;
  readonly runs: RunHistories;
}

interface InRepository {
  readonly repository?: OpenRepository;
  readonly rotation?: Rotation | undefined;
  readonly recoveryPoints: NewestRecoveryPoints;
}

export class RegionMonitor {
  readonly #request: MonitorRequest;
  readonly #patience: Timeouts;
  readonly #control: WatchedSource<InControl>;
  readonly #repository: WatchedSource<InRepository>;
  readonly #qdrant: WatchedSource<unknown>;
  readonly #gate: WatchedSource<GateState> | undefined;
  readonly #peerControl: WatchedSource<KnownEpoch> | undefined;
  readonly #readiness: WatchedSource<Readiness | undefined>;

  constructor(request: MonitorRequest) {
    const { clock, patience = usualPatience, peer, region } = request;
    this.#request = request;
    this.#patience = patience;
    const quick = { clock, ms: patience.answerMs };
    // These list all that a repository holds, or read the records of weeks.
    const slow = { clock, ms: patience.readingMs };
    const runs = new WatchedRuns(region.stores.control, clock, unreadableReporter(request.progress));
    this.#control = new WatchedSource("the control store", slow, async () => ({
      epoch: await epochIn(region.stores.control, region.region),
      held: await readStandbyState(region.stores.control, clock.now()),
      runs: await runs.read(),
    }));
    this.#repository = new WatchedSource("the repository", slow, repositoryReader(region, clock));
    this.#qdrant = new WatchedSource("Qdrant", quick, () => region.database.collections());
    const { gate } = region;
    this.#gate = gate && new WatchedSource("the gate", quick, () => gate.state());
    const { control, name } = peer ?? {};
    if (control !== undefined && name !== undefined) {
      const peerStore = `the control store of ${name}`;
      this.#peerControl = new WatchedSource(peerStore, quick, () => epochIn(control, name));
    }
    this.#readiness = new WatchedSource("what readiness is judged by", slow, () => this.#judgeReadiness());
  }

  /** Until it is stopped. */
  async run(stopped: AbortSignal): Promise<void> {
    const { everySeconds } = this.#request;
    const asked = Object.values(this.#sources());
    // Readiness is judged by what the others found.
    await Promise.all(asked.map((source) => this.#look(source)));
    await Promise.all([
      ...asked.map((source) => this.#again(source, everySeconds, stopped)),
      this.#look(this.#readiness).then(() =>
        this.#again(this.#readiness, Math.max(everySeconds, readinessEverySeconds), stopped),
      ),
    ]);
  }

  get view(): RegionView {
    const { clock, peer, region, toolVersion } = this.#request;
    const control = this.#control.value;
    const { epoch } = this.#control.valueNow ?? {};
    const peerEpoch = this.#peerControl?.valueNow;
    const gate = this.#gate?.valueNow;
    const found = this.#repository.value?.recoveryPoints;
    const rotation = this.#repository.value?.rotation;
    const held = heldNow(control);
    const readiness = isStandby(control) ? this.#readiness.valueNow : undefined;
    return {
      region: region.region,
      peer: peer?.name,
      toolVersion,
      sources: this.#states(),
      runs: control?.runs ?? {},
      ...(epoch === undefined ? {} : { epoch }),
      ...(peerEpoch === undefined ? {} : { peerEpoch }),
      ...(gate === undefined ? {} : { isGateOpen: gate.isOpen, journal: gate.journal }),
      ...(found === undefined ? {} : { recoveryPoints: knownRecoveryPoints(found, held, clock.now()) }),
      ...(rotation === undefined ? {} : { coverage: coverageOf(rotation, clock.now()) }),
      ...(held === undefined ? {} : { standby: believedStandby(held, clock.now()) }),
      ...(readiness === undefined ? {} : { readiness }),
    };
  }

  async #again(source: WatchedSource<unknown>, everySeconds: number, stopped: AbortSignal): Promise<void> {
    while (!stopped.aborted) {
      await pause(this.#request.clock, everySeconds * 1000, stopped);
      if (!stopped.aborted) await this.#look(source);
    }
  }

  async #look(source: WatchedSource<unknown>): Promise<void> {
    const news = await source.look();
    if (news !== undefined) this.#request.progress({ step: "watch", detail: news });
  }

  #sources(): Partial<Record<Source, WatchedSource<unknown>>> {
    return {
      control: this.#control,
      repository: this.#repository,
      qdrant: this.#qdrant,
      ...(this.#gate === undefined ? {} : { gate: this.#gate }),
      ...(this.#peerControl === undefined ? {} : { peer_control: this.#peerControl }),
    };
  }

  #states(): Partial<Record<Source, SourceState>> {
    const states = Object.entries(this.#sources()).map(([name, { state }]) => [name, state] as const);
    return Object.fromEntries(states.filter(([, state]) => state !== undefined));
  }

  async #judgeReadiness(): Promise<Readiness | undefined> {
    const { clock, objectives, region } = this.#request;
    if (!isStandby(this.#control.value)) return undefined;
    return assessReadiness(
      await gatherReadiness({
        region,
        objectives,
        clock,
        patience: this.#patience,
        found: this.#found(),
        otherEpoch: this.#peerControl?.valueNow?.epoch,
        backend: { notAsked: "the exporter has no Pulumi" },
        mayWrite: false,
      }),
    );
  }

  #found(): Parameters<typeof gatherReadiness>[0]["found"] {
    const seen = this.#repository.valueNow;
    if (seen?.repository === undefined) {
      const problem = seen === undefined ? "the repository does not answer" : "the bucket holds no recovery points yet";
      return { problem, error: undefined };
    }
    const { repository } = seen;
    const { newest, wanting } = seen.recoveryPoints;
    const lacks = wanting === undefined ? {} : { wanting };
    if (newest === undefined) return { value: { repository, ...lacks } };
    const asOf = restorableAsOf(newest, heldNow(this.#control.value), this.#request.clock.now());
    const { doubt, recoveryPoint } = newest;
    return { value: { repository, newest: { entry: newest, recoveryPoint, asOf, doubt } } };
  }
}

async function epochIn(control: ObjectStoreReader, region: string): Promise<KnownEpoch> {
  const newest = newestEpoch(await readEpochs(control));
  if (newest === undefined) throw new DrError("ROLE_UNKNOWN", `the control store of ${region} holds no epoch`);
  return { epoch: newest.epoch, at: newest.at, role: effectiveRole(region, newest) };
}

function repositoryReader(region: ObservedRegion, clock: Clock): () => Promise<InRepository> {
  let opened: { repository: OpenRepository; reader: NewestRecoveryPointsReader } | undefined;
  return async () => {
    try {
      const repository = await region.repository();
      // A bucket that was lost and filled again is another repository.
      if (opened?.repository.description.id !== repository.description.id)
        opened = { repository, reader: new NewestRecoveryPointsReader(repository, region.region) };
      const known = await readRotation(region.stores.control, repository.description.id);
      const recoveryPoints = await opened.reader.read(clock.now());
      return { repository: opened.repository, recoveryPoints, rotation: known?.rotation };
    } catch (error) {
      // It answers; it has nothing yet, or nothing any more.
      if (hasCode(error, "RECOVERY_POINT_NOT_FOUND")) {
        return { recoveryPoints: { byType: {}, exactByType: {} } };
      }
      throw error;
    }
  };
}

function isStandby(control: InControl | undefined): boolean {
  return control !== undefined && control.epoch.role !== "active";
}

/** A state that the standby recorded before the newest failover says nothing about what it holds now. */
function heldNow(control: InControl | undefined): StandbyState | undefined {
  if (!isStandby(control) || control?.held?.epoch !== control?.epoch.epoch) return undefined;
  return control?.held;
}

/** A time ahead of the clock here would look new for as long as it is: it counts as the oldest there is. */
function believedStandby({ asOf, exactAsOf, followedAt }: StandbyState, now: Date): NonNullable<RegionView["standby"]> {
  const believed = (told: string) => (believedTime(told, { now }) ?? never).toISOString();
  return {
    asOf: believed(asOf),
    followedAt: followedAt && believed(followedAt),
    exactAsOf: exactAsOf && believed(exactAsOf),
  };
}

function knownRecoveryPoints(
  { byType, exactByType, newest, restored, verified }: NewestRecoveryPoints,
  held: StandbyState | undefined,
  now: Date,
): KnownRecoveryPoints {
  const times = (dated: NewestRecoveryPoints["byType"]) =>
    Object.fromEntries(
      captureTypes.flatMap((type) => (dated[type] === undefined ? [] : [[type, dated[type].asOf.toISOString()]])),
    );
  return {
    newest: times(byType),
    exact: times(exactByType),
    ...(newest === undefined
      ? {}
      : {
          restorable: restorableAsOf(newest, held, now).toISOString(),
          missing: missingFrom(newest.recoveryPoint).length,
        }),
    ...(verified === undefined ? {} : { verified: verified.asOf.toISOString() }),
    ...(restored === undefined ? {} : { restored: restored.asOf.toISOString() }),
  };
}
