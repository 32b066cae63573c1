/** A region whose recovery points hold one small folder, with stores in memory and a time that a test sets: captures, copies and prunes as the commands do. */
import { type Retention, retentionSchema } from "../../../runtime/domain/history/retention.ts";
import type { RecoveryPoint } from "../../../runtime/domain/recovery-points/recovery-point.ts";
import { controlLayout } from "../../../runtime/domain/recovery-points/store-layout.ts";
import type { Clock } from "../../../runtime/ports/clock.ts";
import type { KeyWrap } from "../../../runtime/ports/key-wrap.ts";
import type { ObjectStore } from "../../../runtime/ports/object-store.ts";
import type { PrunableStore } from "../../../runtime/ports/prunable-store.ts";
import type { VectorDatabase } from "../../../runtime/ports/qdrant.ts";
import { readCatalog } from "../../../runtime/repository/catalog/read-catalog.ts";
import { OpenRepository } from "../../../runtime/repository/repository.ts";
import type { CaptureMemory } from "../../../runtime/workflows/capture/capture-memory.ts";
import { captureRecoveryPoint } from "../../../runtime/workflows/capture/capture-recovery-point.ts";
import { folderCapture } from "../../../runtime/workflows/folders/capture-folder.ts";
import { documentFolder } from "../../../runtime/workflows/folders/document-folder.ts";
import type { PruneContext, PruneRequest } from "../../../runtime/workflows/prune/prune-context.ts";
import { type PruneReport, pruneRepository } from "../../../runtime/workflows/prune/prune-repository.ts";
import { verifyRecoveryPoint } from "../../../runtime/workflows/verify/verify-recovery-point.ts";
import type { Faults } from "../faults/faulty-store.ts";
import { looksOf } from "../servers/looks-of.ts";
import { LockingMemoryStore, MemoryStore } from "../servers/memory-store.ts";
import { firstEpoch, silently } from "./recovery-estate.ts";

export const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;

/** Time that passes when a test says so; who sleeps makes it pass. */
export class TestTime implements Clock {
  #ms: number;

  constructor(start = "2026-03-01T00:00:00.000Z") {
    this.#ms = Date.parse(start);
  }

  now = (): Date => new Date(this.#ms);

  monotonic(): number {
    return this.#ms;
  }

  async sleep(ms: number): Promise<void> {
    this.#ms += ms;
  }

  pass(ms: number): void {
    this.#ms += ms;
  }
}

const noDatabase = {} as VectorDatabase;

export interface PrunedStores {
  readonly repository: ObjectStore;
  readonly control: ObjectStore;
  readonly prunable: PrunableStore;
  readonly prunableControl: PrunableStore;
}

/** Every object of both stores. */
export interface RegionState {
  readonly repository: ReadonlyMap<string, Buffer>;
  readonly control: ReadonlyMap<string, Buffer>;
}

export class PrunedRegion {
  readonly time: TestTime;
  readonly repositoryStore: MemoryStore;
  readonly controlStore: MemoryStore;
  readonly wrap: KeyWrap;
  /** The files of the folder, by their paths. */
  readonly files = new Map<string, Buffer>();
  #runs = 0;

  constructor(wrap: KeyWrap, time: TestTime, repositoryStore: MemoryStore = new MemoryStore(time.now)) {
    this.wrap = wrap;
    this.time = time;
    this.repositoryStore = repositoryStore;
    this.controlStore = new MemoryStore(time.now);
    this.controlStore.objects.set(controlLayout.epoch(1), Buffer.from(JSON.stringify(firstEpoch)));
  }

  get stores(): PrunedStores {
    const [repository, control] = [this.repositoryStore, this.controlStore];
    return { repository, control, prunable: repository, prunableControl: control };
  }

  /** The stores of a process that fails as it is told. */
  through(faults: Faults): PrunedStores {
    return {
      repository: faults.wrap(this.repositoryStore),
      control: faults.wrap(this.controlStore),
      prunable: faults.wrapPrunable(this.repositoryStore),
      prunableControl: faults.wrapPrunable(this.controlStore),
    };
  }

  state(): RegionState {
    return { repository: new Map(this.repositoryStore.objects), control: new Map(this.controlStore.objects) };
  }

  rewind(state: RegionState): void {
    for (const [store, objects] of [
      [this.repositoryStore, state.repository],
      [this.controlStore, state.control],
    ] as const) {
      store.objects.clear();
      for (const [key, bytes] of objects) store.objects.set(key, bytes);
    }
  }

  open(stores: PrunedStores = this.stores): Promise<OpenRepository> {
    return OpenRepository.openOrCreate(stores, this.wrap);
  }

  /** Fills a file with bytes of its own: nothing of it is stored yet. */
  write(path: string, text: string, size = 300_000): void {
    const bytes = Buffer.alloc(size);
    for (let at = 0; at < size; at += 64 * 1024) bytes.write(`${text} ${at} `, at);
    bytes.writeUInt32LE(1, size - 4);
    this.files.set(path, bytes);
  }

  async capture(
    options: {
      readonly stores?: PrunedStores;
      readonly memory?: CaptureMemory;
      readonly type?: "full" | "incremental";
      /** Called while the capture is under way, before the folder is read to its end. */
      readonly meanwhile?: () => Promise<void>;
      readonly clock?: Clock;
      readonly isOfStream?: boolean;
    } = {},
  ): Promise<string> {
    const { clock = this.time, isOfStream = false, meanwhile, memory, stores, type = "incremental" } = options;
    const repository = await this.open(stores);
    const changedAt = this.time.now();
    const files = this.files;
    const source = documentFolder({
      async *documents() {
        for (const [path, bytes] of files) yield { path, bytes, changedAt };
        await meanwhile?.();
      },
    });
    const report = await captureRecoveryPoint({
      region: "east",
      type,
      kinds: ["config"],
      folders: [folderCapture({ kind: "config", name: "etc", source }, silently)],
      database: noDatabase,
      repository: isOfStream ? repository.withStream() : repository,
      clock,
      progress: silently,
      toolVersion: "test",
      ...(memory === undefined ? {} : { incremental: { memory } }),
    });
    return report.recoveryPoint;
  }

  async context(): Promise<PruneContext> {
    return {
      repository: await this.open(),
      retention: policy(),
      giveUp: [],
      acceptsFewer: false,
      clock: this.time,
      progress: silently,
    };
  }

  async prune(
    more: Partial<Omit<PruneRequest, "repository" | "prunable" | "retention">> & {
      readonly retention?: object;
      readonly stores?: PrunedStores;
    } = {},
  ): Promise<PruneReport> {
    const { retention, stores = this.stores, ...request } = more;
    this.#runs += 1;
    return pruneRepository({
      ...(await this.context()),
      repository: await this.open(stores),
      prunable: stores.prunable,
      prunableControl: stores.prunableControl,
      retention: policy(retention),
      run: `run-${this.#runs}`,
      // Every other run of this test has ended.
      runner: { mark: `runner-${this.#runs}`, isDead: () => true },
      ...request,
    });
  }

  /** The recovery points that are listed, oldest first; each that is called complete is read to its last byte. */
  async verified({ isOfStream = false } = {}): Promise<RecoveryPoint[]> {
    const opened = await this.open();
    const repository = isOfStream ? opened.withStream() : opened;
    const { entries } = await readCatalog(repository);
    const found: RecoveryPoint[] = [];
    for (const { recoveryPoint, state } of entries) {
      if (state !== "complete" || recoveryPoint === undefined) continue;
      // Attestations of a test's own looks would be objects of the repository.
      const unwritable = await OpenRepository.open(
        { ...this.stores, repository: unwritten(this.repositoryStore) },
        this.wrap,
      );
      const seen = isOfStream ? unwritable.withStream() : unwritable;
      await verifyRecoveryPoint(seen, recoveryPoint, { clock: this.time, progress: silently, region: "east" });
      found.push(recoveryPoint);
    }
    return found;
  }

  keys(prefix = ""): string[] {
    return [...this.repositoryStore.objects.keys()].filter((key) => key.startsWith(prefix)).sort();
  }
}

/** One whose repository store keeps locks. */
export class LockedRegion extends PrunedRegion {
  readonly locked: LockingMemoryStore;
  /** As its settings say. */
  readonly retention = policy();

  constructor(wrap: KeyWrap, time: TestTime) {
    const locked = new LockingMemoryStore(time.now);
    super(wrap, time, locked);
    this.locked = locked;
  }

  override async open(stores?: PrunedStores): Promise<OpenRepository> {
    return (await super.open(stores)).lockedBy({ retention: this.retention, clock: this.time });
  }

  override state(): RegionState & { readonly locks: ReadonlyMap<string, Date> } {
    return { ...super.state(), locks: new Map(this.locked.lockedUntil) };
  }

  override rewind(state: ReturnType<LockedRegion["state"]>): void {
    super.rewind(state);
    this.locked.lockedUntil.clear();
    for (const [key, until] of state.locks) this.locked.lockedUntil.set(key, until);
  }
}

/** Small tiers, so that a history of some days is thinned. */
export function policy(more: object = {}): Retention {
  return retentionSchema.parse({ days: 10, fourHourlyDays: 2, quarterHourlyDays: 1, atLeast: 2, ...more });
}

function unwritten(store: MemoryStore): ObjectStore {
  return {
    get: (key, range) => store.get(key, range),
    ...looksOf(store),
    list: (prefix) => store.list(prefix),
    checksumOf: (key) => store.checksumOf(key),
    create: async () => "created",
  };
}
