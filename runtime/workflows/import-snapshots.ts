/**
 * Makes a recovery point of plain Qdrant snapshots. Each collection is made under a scratch name, as its snapshots say, and a Qdrant
 * restores their shards into it, which checks them; that is captured under the collection's own name, and removed. Live collections are
 * not touched.
 */
import { createHash } from "node:crypto";
import { Semaphore } from "../async/semaphore.ts";
import { canonicalJson, isRecord } from "../domain/exact-json.ts";
import { newId } from "../domain/identifier.ts";
import { problemOfName } from "../domain/qdrant/collection-name.ts";
import { newScratchName } from "../domain/qdrant/scratch-name.ts";
import { refuseIrreproducibleKeys, type ShardKey } from "../domain/qdrant/shard-key-plan.ts";
import {
  readSnapshotContent,
  type ShardInSnapshot,
  type SnapshotContent,
  shardArchiveIn,
} from "../domain/qdrant/snapshot-content.ts";
import type { ImportedSnapshot } from "../domain/recovery-points/recovery-point.ts";
import { DrError, hasCode } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Progress } from "../ports/progress.ts";
import type { VectorDatabase } from "../ports/qdrant.ts";
import type { Runner } from "../ports/runner.ts";
import type { SnapshotFile } from "../ports/snapshot-file.ts";
import { recordRestoreEnd, recordRestoreStart } from "../repository/control/restore-records.ts";
import type { OpenRepository } from "../repository/repository.ts";
import { hasShardKeys, makeCollection, waitUntilWhole } from "./apply/make-collection.ts";
import { captureRecoveryPoint } from "./capture/capture-recovery-point.ts";
import type { CaptureReport } from "./capture/capture-report.ts";
import { besideLive, notingUploads, removeLeftovers } from "./scratch-collections.ts";

/** While Qdrant unpacks and loads one shard, the next is sent. */
const shardsAtOnce = 2;

export interface ImportRequest {
  readonly region: string;
  readonly repository: OpenRepository;
  /** The Qdrant that restores the snapshots. */
  readonly database: VectorDatabase;
  /** Absent for the region's own. */
  readonly databaseName?: string | undefined;
  readonly files: readonly SnapshotFile[];
  /** The name of the collection that all files are of; otherwise the files' names say it. */
  readonly collection?: string | undefined;
  readonly runner: Runner;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly toolVersion: string;
  onInterrupt?(clean: () => Promise<void>): () => void;
}

export interface ImportReport {
  readonly recoveryPoint: string;
  readonly collections: readonly {
    readonly collection: string;
    readonly points: number;
    readonly shards: number;
    readonly snapshots: readonly Omit<ImportedSnapshot, "collection">[];
  }[];
  readonly storedBytes: number;
}

/** A shard, and the snapshot that it is taken from. */
interface Shard extends ShardInSnapshot {
  readonly key: ShardKey | undefined;
  readonly file: SnapshotFile;
}

interface Source {
  readonly collection: string;
  readonly scratch: string;
  readonly config: unknown;
  readonly payloadIndexes: SnapshotContent["payloadIndexes"];
  readonly shards: readonly Shard[];
  readonly snapshots: readonly ImportedSnapshot[];
}

/** Throws USAGE, NOT_SUPPORTED, QDRANT_REFUSED or VERIFICATION_FAILED when a file cannot be restored: nothing is committed then. */
export async function importSnapshots(request: ImportRequest): Promise<ImportReport> {
  const { clock, database, databaseName: targetName, onInterrupt, repository, runner } = request;
  // Before anything is made.
  const sources: Source[] = [];
  for (const [collection, files] of filesByCollection(request)) {
    sources.push(sourceOf(collection, newScratchName(clock.now()), await inspectAll(files)));
  }
  const keyed = sources.find(hasShardKeys);
  if (keyed !== undefined && !(await database.isClustered())) {
    throw new DrError(
      "NOT_SUPPORTED",
      `${keyed.collection} has shard keys, which a Qdrant outside cluster mode does not know`,
      { hint: "name a Qdrant in cluster mode with --via: one peer, empty, will do (QDRANT__CLUSTER__ENABLED=true)" },
    );
  }
  const { control } = repository.stores;
  await removeLeftovers({ ...request, control, target: database, targetName });
  const record = {
    id: newId(clock.now()),
    recoveryPoint: "import",
    collections: sources.map(({ scratch }) => scratch),
    target: targetName ?? besideLive,
    at: clock.now().toISOString(),
    runner: runner.mark,
  };
  await recordRestoreStart(control, record);
  const interruption = new AbortController();
  const ended = Promise.withResolvers<void>();
  const withdraw = onInterrupt?.(async () => {
    interruption.abort(new DrError("INTERRUPTED", "the import was interrupted", { hint: "run it again" }));
    await ended.promise;
  });
  try {
    for (const source of sources) {
      interruption.signal.throwIfAborted();
      await restoreSource(request, source, interruption.signal);
    }
    const report = await capture(request, sources, interruption.signal);
    const recoveryPoint = await repository.readRecoveryPoint(report.recoveryPoint);
    const pointsOf = (name: string) => recoveryPoint.collections.find((each) => each.name === name)?.pointsAfter ?? 0;
    return {
      recoveryPoint: report.recoveryPoint,
      collections: sources.map(({ collection, shards, snapshots }) => ({
        collection,
        points: pointsOf(collection),
        shards: shards.length,
        snapshots: snapshots.map(({ collection: _, ...snapshot }) => snapshot),
      })),
      storedBytes: report.storedBytes,
    };
  } finally {
    await removeScratch(request, sources);
    await recordRestoreEnd(control, record, clock.now(), { outcome: "failed" });
    ended.resolve();
    withdraw?.();
  }
}

function filesByCollection({ collection, files }: ImportRequest): Map<string, SnapshotFile[]> {
  const named = Map.groupBy(files, ({ name }) => collection ?? collectionOf(name));
  for (const name of named.keys()) {
    const problem = problemOfName(name);
    if (problem === undefined) continue;
    throw new DrError("USAGE", `no collection can be imported as ${JSON.stringify(name)}: ${problem}`, {
      hint: "import the files of one collection at a time, and name it with --collection",
    });
  }
  return named;
}

/** Qdrant calls a snapshot `<collection>-<peer>-<time>.snapshot`. */
function collectionOf(name: string): string {
  return name.replace(/\.snapshot$/, "").replace(/-\d+-\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d$/, "");
}

interface Inspected {
  readonly file: SnapshotFile;
  readonly content: SnapshotContent;
  readonly sha256: string;
}

async function inspectAll(files: readonly SnapshotFile[]): Promise<Inspected[]> {
  const inspected: Inspected[] = [];
  for (const file of files) inspected.push(await inspect(file));
  return inspected;
}

/** Reads it once to its end. Throws NOT_SUPPORTED when it is no snapshot of a collection. */
async function inspect(file: SnapshotFile): Promise<Inspected> {
  const hash = createHash("sha256");
  const hashed = async function* () {
    for await (const part of file.read()) {
      hash.update(part);
      yield part;
    }
  };
  const bytes = hashed();
  let content: SnapshotContent | undefined;
  try {
    content = await readSnapshotContent({ [Symbol.asyncIterator]: () => bytes });
  } catch (error) {
    await bytes.return(undefined);
    if (!hasCode(error, "CAPTURE_INCOMPLETE")) throw error;
    throw notImportable(`${file.path}: it is no archive as Qdrant makes it, or was cut off`, error);
  }
  while (!(await bytes.next()).done);
  if (content === undefined) {
    throw notImportable(`${file.path}: it holds no settings of a collection: a snapshot of a shard, perhaps`);
  }
  return { file, content, sha256: hash.digest("hex") };
}

/** One collection of the snapshots that one server made of it, or each peer of a cluster. */
function sourceOf(collection: string, scratch: string, inspected: readonly Inspected[]): Source {
  const [first, ...others] = inspected as [Inspected, ...Inspected[]];
  const { config, payloadIndexes, shardKeys } = first.content;
  for (const { content, file } of others) {
    if (madeOf(content) === madeOf(first.content)) continue;
    throw new DrError("USAGE", `${first.file.path} and ${file.path} are not of the same ${collection}`, {
      hint: "their settings differ, or it was made anew between them: import them one after another",
    });
  }
  const keys = new Map(shardKeys.flatMap(({ ids, key }) => ids.map((id) => [id, key] as const)));
  const replicas = inspected.flatMap(({ content, file }) =>
    content.shards.map((shard) => ({ ...shard, key: keys.get(shard.id), file })),
  );
  const shards = wantedShards(first.content).map((id) =>
    replicaOf(
      collection,
      id,
      replicas.filter((replica) => replica.id === id),
    ),
  );
  refuseMissing(collection, shards, replicas);
  const found = shards.flatMap((shard) => shard ?? []);
  if (keys.size > 0) refuseIrreproducibleKeys(collection, found);
  return {
    ...{ collection, scratch, config, payloadIndexes, shards: found },
    snapshots: inspected.map(({ file, sha256 }) => ({ collection, file: file.name, bytes: file.bytes, sha256 })),
  };
}

function madeOf({ config, payloadIndexes, shardKeys, uuid }: SnapshotContent): string {
  const keys = shardKeys.map(({ ids, key }) => ({ key, ids }));
  const inOrder = keys.sort((a, b) => (a.ids[0] ?? 0) - (b.ids[0] ?? 0));
  return canonicalJson({ config, payloadIndexes, keys: inOrder, uuid: uuid ?? null });
}

/** Ids of the shards that the collection has. */
function wantedShards({ config, shardKeys }: SnapshotContent): number[] {
  if (hasShardKeys({ config })) return shardKeys.flatMap(({ ids }) => ids).sort((a, b) => a - b);
  const { params } = config;
  const count = isRecord(params) ? Number(params["shard_number"]) : Number.NaN;
  return Number.isInteger(count) ? [...Array(count).keys()] : [];
}

/** The one to restore; undefined when there is none. Peers' snapshots hold each shard as often as it has replicas. */
function replicaOf(collection: string, id: number, replicas: readonly Shard[]): Shard | undefined {
  const byPeer = new Map<number | undefined, Shard>();
  for (const replica of replicas) {
    const other = byPeer.get(replica.peer);
    byPeer.set(replica.peer, replica);
    if (other === undefined) continue;
    throw new DrError(
      "USAGE",
      `${other.file.path} and ${replica.file.path} both hold shard ${id} of ${collection}, of the same peer`,
      { hint: "give one snapshot of each peer; import two states of a collection one after another" },
    );
  }
  const whole = replicas.find(({ isActive }) => isActive);
  if (whole === undefined && replicas.length > 0) {
    throw notImportable(`${collection}: shard ${id} was not whole on the peer that made ${replicas[0]?.file.path}`);
  }
  return whole;
}

/** Qdrant refuses that late, and does not say why. */
function refuseMissing(collection: string, shards: readonly (Shard | undefined)[], replicas: readonly Shard[]): void {
  const found = new Set(shards.flatMap((shard) => shard?.id ?? []));
  const unknown = replicas.find(({ id }) => !found.has(id));
  if (found.size === shards.length && unknown === undefined) return;
  const holds = `the snapshots of ${collection} hold ${found.size} of ${shards.length} shards`;
  throw notImportable(
    unknown === undefined
      ? `${holds}: each peer of a cluster writes its own alone`
      : `${holds}, and shard ${unknown.id}, which its settings do not name`,
  );
}

function notImportable(why: string, cause?: unknown): DrError {
  return new DrError("NOT_SUPPORTED", `${why}; nothing was made`, {
    hint: "give the snapshots that every peer made of the whole collection (`POST /collections/{name}/snapshots` on each); restore another one into a Qdrant and back that up",
    cause,
  });
}

async function restoreSource(
  { clock, database, databaseName, progress, repository }: ImportRequest,
  source: Source,
  signal: AbortSignal,
): Promise<void> {
  const { collection, scratch, snapshots } = source;
  const names = snapshots.map(({ file }) => file).join(", ");
  progress({ step: "import", detail: `${names} as ${collection}` });
  const target = databaseName === undefined ? notingUploads(database, repository.stores.control, clock) : database;
  const tools = { clock, progress, signal, target };
  try {
    await makeCollection(
      {
        ...tools,
        archives: new Semaphore(shardsAtOnce),
        definitions: new Semaphore(1),
        sending: (archive) => archive,
        onCreation: () => undefined,
        onLoaded: () => undefined,
      },
      {
        captured: { ...source, name: collection },
        name: scratch,
        optimizes: true,
        archiveOf: async (shard) => shardArchiveIn(shard.file.read(shard.from), shard),
      },
    );
  } catch (error) {
    if (!hasCode(error, "QDRANT_REFUSED")) throw error;
    throw new DrError("QDRANT_REFUSED", `${names}: Qdrant does not restore it: ${error.message}`, {
      hint: "it was made by another version, or is damaged: Qdrant's log says more; nothing was committed",
      cause: error,
    });
  }
  await waitUntilWhole(tools, scratch);
  progress({ step: "import", detail: `${collection} is restored beside the live ones, and captured next` });
}

function capture(
  { clock, database, progress, region, repository, toolVersion }: ImportRequest,
  sources: readonly Source[],
  signal: AbortSignal,
): Promise<CaptureReport & { readonly recoveryPoint: string }> {
  return captureRecoveryPoint({
    region,
    type: "full",
    database: presentedAs(database, new Map(sources.map(({ collection, scratch }) => [collection, scratch]))),
    repository,
    clock,
    progress,
    toolVersion,
    imported: sources.flatMap(({ snapshots }) => snapshots),
    mustBeWhole: true,
    // What it would leave on the server is recorded by the name of the live collection.
    patience: { quietMs: 60_000, attempts: 2, usesSnapshot: false },
    signal,
  });
}

/** The same database with nothing in it but these collections, each by another name than its own. */
function presentedAs(database: VectorDatabase, names: ReadonlyMap<string, string>): VectorDatabase {
  const listed = async () => ({ ...(await database.listCollections()), names: [...names.keys()] });
  const own: Partial<VectorDatabase> = {
    listCollections: listed,
    collections: async () => [...names.keys()],
    aliases: async () => [],
    describe: async (name) => ({ ...(await database.describe(names.get(name) ?? name)), name }),
  };
  return new Proxy(database, {
    get(target, method) {
      const given: unknown = Reflect.get(own, method);
      if (given !== undefined) return given;
      const value: unknown = Reflect.get(target, method);
      if (typeof value !== "function") return value;
      // The first argument of all that is about a collection is its name.
      return (first: unknown, ...others: unknown[]) =>
        value.call(target, typeof first === "string" ? (names.get(first) ?? first) : first, ...others);
    },
  });
}

/** What cannot be removed now, the next test restore or import removes. */
async function removeScratch({ database, progress }: ImportRequest, sources: readonly Source[]): Promise<void> {
  for (const { scratch } of sources) {
    await database.deleteCollection(scratch).catch(() => {
      progress({ step: "clean", detail: `${scratch} is left: the next import or test restore removes it` });
    });
  }
}
