/**
 * Makes a recovery point of plain Qdrant snapshots. A Qdrant restores each under a scratch name, which checks it; that is captured under
 * the collection's own name, and removed. Live collections are not touched.
 */
import { createHash } from "node:crypto";
import { isRecord } from "../domain/exact-json.ts";
import { newId } from "../domain/identifier.ts";
import { problemOfName } from "../domain/qdrant/collection-name.ts";
import { newScratchName } from "../domain/qdrant/scratch-name.ts";
import { readSparseTar } from "../domain/qdrant/sparse-tar.ts";
import type { ImportedCollection } from "../domain/recovery-points/recovery-point.ts";
import { DrError, hasCode } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Progress } from "../ports/progress.ts";
import type { VectorDatabase } from "../ports/qdrant.ts";
import type { Runner } from "../ports/runner.ts";
import type { SnapshotFile } from "../ports/snapshot-file.ts";
import { recordRestoreEnd, recordRestoreStart } from "../repository/control/restore-records.ts";
import { beginScratchUpload } from "../repository/control/scratch-uploads.ts";
import type { OpenRepository } from "../repository/repository.ts";
import { waitUntilWhole } from "./apply/make-collection.ts";
import { captureRecoveryPoint } from "./capture/capture-recovery-point.ts";
import type { CaptureReport } from "./capture/capture-report.ts";
import { besideLive } from "./test-restore.ts";

/** A shard that is empty has a segment, too. */
const withSegments = /^(\d+)\/segments\/./;

/** A collection's settings are some kilobytes. */
const largestSettings = 4 * 1024 * 1024;

export interface ImportRequest {
  readonly region: string;
  readonly repository: OpenRepository;
  /** The Qdrant that restores the snapshots, with one peer. */
  readonly database: VectorDatabase;
  readonly peerUrl: string;
  readonly files: readonly SnapshotFile[];
  /** The name of the collection, where one file is given; otherwise the files' names say it. */
  readonly collection?: string | undefined;
  readonly runner: Runner;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly toolVersion: string;
  onInterrupt?(clean: () => Promise<void>): () => void;
}

export interface ImportReport {
  readonly recoveryPoint: string;
  readonly collections: readonly (ImportedCollection & { readonly points: number })[];
  readonly storedBytes: number;
}

interface Source {
  readonly collection: string;
  readonly scratch: string;
  readonly file: SnapshotFile;
}

/** Throws NOT_SUPPORTED, QDRANT_REFUSED or VERIFICATION_FAILED when a file cannot be restored: nothing is committed then. */
export async function importSnapshots(request: ImportRequest): Promise<ImportReport> {
  const { clock, onInterrupt, progress, repository, runner } = request;
  const sources = sourcesOf(request);
  const imported: ImportedCollection[] = [];
  // Before anything is made.
  for (const { collection, file } of sources) imported.push({ collection, ...(await inspect(file)) });
  const { control } = repository.stores;
  const record = {
    id: newId(clock.now()),
    recoveryPoint: "import",
    collections: sources.map(({ scratch }) => scratch),
    target: besideLive,
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
      progress({ step: "import", detail: `${source.file.name} as ${source.collection}` });
      await restoreFile(request, source, interruption.signal);
    }
    const report = await capture(request, sources, imported, interruption.signal);
    const recoveryPoint = await repository.readRecoveryPoint(report.recoveryPoint);
    const pointsOf = (name: string) => recoveryPoint.collections.find((each) => each.name === name)?.pointsAfter ?? 0;
    return {
      recoveryPoint: report.recoveryPoint,
      collections: imported.map((each) => ({ ...each, points: pointsOf(each.collection) })),
      storedBytes: report.storedBytes,
    };
  } finally {
    await removeScratch(request, sources);
    await recordRestoreEnd(control, record, clock.now(), { outcome: "failed" });
    ended.resolve();
    withdraw?.();
  }
}

function sourcesOf({ clock, collection, files }: ImportRequest): Source[] {
  if (collection !== undefined && files.length !== 1) {
    throw new DrError("USAGE", `--collection names one collection, and ${files.length} snapshots are given`, {
      hint: "import them one by one, or let the files be called as their collections",
    });
  }
  const sources = files.map((file) => ({
    collection: collection ?? collectionOf(file.name),
    scratch: newScratchName(clock.now()),
    file,
  }));
  for (const [index, { collection: name }] of sources.entries()) {
    const isTwice = sources.findIndex((other) => other.collection === name) !== index;
    const problem = isTwice ? "two of the files are of it" : problemOfName(name);
    if (problem === undefined) continue;
    throw new DrError("USAGE", `no collection can be imported as ${JSON.stringify(name)}: ${problem}`, {
      hint: "import one file at a time, and name its collection with --collection",
    });
  }
  return sources;
}

/** Qdrant calls a snapshot `<collection>-<peer>-<time>.snapshot`. */
function collectionOf(name: string): string {
  return name.replace(/\.snapshot$/, "").replace(/-\d+-\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d$/, "");
}

/** Reads it once to its end. Throws NOT_SUPPORTED when it is no snapshot of a collection, or of one that no snapshot brings back. */
async function inspect(file: SnapshotFile): Promise<Omit<ImportedCollection, "collection">> {
  const hash = createHash("sha256");
  const hashed = async function* () {
    for await (const part of file.read()) {
      hash.update(part);
      yield part;
    }
  };
  const bytes = hashed();
  let settings: string | undefined;
  const shards = new Set<string>();
  try {
    for await (const entry of readSparseTar({ [Symbol.asyncIterator]: () => bytes })) {
      const [, shard] = withSegments.exec(entry.path) ?? [];
      if (shard !== undefined) shards.add(shard);
      if (entry.path !== "config.json" || entry.size > largestSettings) continue;
      const parts: Uint8Array[] = [];
      for await (const part of entry.content) parts.push(part.bytes);
      settings = Buffer.concat(parts).toString("utf8");
    }
  } catch (error) {
    if (!hasCode(error, "CAPTURE_INCOMPLETE")) throw error;
    throw notASnapshot(file, "it is no archive as Qdrant makes it, or was cut off", error);
  }
  while (!(await bytes.next()).done);
  const config = settings === undefined ? undefined : parsed(settings);
  if (config === undefined)
    throw notASnapshot(file, "it holds no settings of a collection: a snapshot of a shard, perhaps");
  const { params } = config;
  if (isRecord(params) && params["sharding_method"] === "custom") {
    throw notASnapshot(file, "its collection has shard keys, which Qdrant does not make of a snapshot");
  }
  const count = isRecord(params) ? Number(params["shard_number"]) : Number.NaN;
  // A peer of a cluster writes its own shards alone. Qdrant refuses that late, and does not say why.
  if (shards.size !== count) {
    throw notASnapshot(file, `it holds ${shards.size} of ${count} shards: a snapshot that one peer of a cluster made`);
  }
  return { file: file.name, bytes: file.bytes, sha256: hash.digest("hex") };
}

function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function notASnapshot({ path }: SnapshotFile, why: string, cause?: unknown): DrError {
  return new DrError("NOT_SUPPORTED", `${path} cannot be imported: ${why}; nothing was made`, {
    hint: "give snapshots of whole collections (`POST /collections/{name}/snapshots`); restore another one into a Qdrant and back that up",
    cause,
  });
}

async function restoreFile(
  { clock, database, peerUrl, progress, repository }: ImportRequest,
  { collection, file, scratch }: Source,
  signal: AbortSignal,
): Promise<void> {
  const upload = await beginScratchUpload(
    repository.stores.control,
    await database.processStart({ peerUrl }),
    clock.now(),
  );
  try {
    await database.restoreSnapshot(scratch, file.read());
  } catch (error) {
    await upload.end("unknown");
    if (!hasCode(error, "QDRANT_REFUSED")) throw error;
    throw new DrError("QDRANT_REFUSED", `${file.path}: Qdrant does not restore it: ${error.message}`, {
      hint: "it was made by another version, or is damaged: Qdrant's log says more; nothing was committed",
      cause: error,
    });
  }
  await upload.end("taken");
  await waitUntilWhole({ clock, signal, target: database }, scratch);
  progress({ step: "import", detail: `${collection} is restored beside the live ones, and captured next` });
}

function capture(
  { clock, database, progress, region, repository, toolVersion }: ImportRequest,
  sources: readonly Source[],
  imported: readonly ImportedCollection[],
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
    imported,
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
      progress({ step: "clean", detail: `${scratch} is left: the next test restore removes it` });
    });
  }
}
