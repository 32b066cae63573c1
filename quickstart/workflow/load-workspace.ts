/** Fills an empty primary with a workspace: three indexed collections and an alias, through the public endpoint. */
import { DrError } from "../../runtime/errors.ts";
import type { Clock } from "../../runtime/ports/clock.ts";
import type { Progress } from "../../runtime/ports/progress.ts";
import type { VectorDatabase } from "../../runtime/ports/qdrant.ts";
import { waitUntil } from "../../runtime/time/wait-until.ts";
import type { DocumentChunk, ExportedSymbol } from "../domain/document-chunks.ts";
import { embeddingDimensions } from "../domain/text-embedding.ts";

/** The name that readers use; it stands for `documents`. */
const workspaceAlias = "workspace";

export type WorkspaceCollectionName = "documents" | "symbols" | "code";

export interface SymbolDocument extends ExportedSymbol, Pick<DocumentChunk, "path" | "package" | "language"> {
  readonly text: string;
}

export interface WorkspacePoint {
  readonly id: number;
  readonly vector: readonly number[];
  readonly payload: DocumentChunk | SymbolDocument;
}

export interface WorkspaceCollection {
  readonly name: WorkspaceCollectionName;
  readonly count: number;
  /** With ids 1 to `count`; vectors are computed on the way. */
  points(): Iterable<WorkspacePoint>;
}

/** A region that takes points. Throws UNREACHABLE, ACCESS_DENIED or QDRANT_REFUSED. */
export interface WorkspaceLoader
  extends Pick<VectorDatabase, "createCollection" | "createPayloadIndex" | "createAlias" | "health"> {
  /** Returns when the points are safe in the write-ahead log; with `isLast`, when all points so far can be searched. */
  upsert(collection: string, points: readonly WorkspacePoint[], isLast: boolean): Promise<void>;
}

export interface LoadReport {
  readonly collections: readonly { readonly name: WorkspaceCollectionName; readonly points: number }[];
  readonly points: number;
  readonly seconds: number;
}

const pointsPerBatch = 400;
const pollMs = 200;
/** In a row, for each collection: between two optimizations it is green for a moment. */
const wantedGreen = 2;
const longestWaitMs = 120_000;

const collectionConfig = {
  params: { vectors: { size: embeddingDimensions, distance: "Cosine" } },
  // In kB of vectors: 1,000 points. Two segments of the smallest collection are above it, so that HNSW is really built.
  optimizer_config: { indexing_threshold: 500, default_segment_number: 2 },
  wal_config: { wal_capacity_mb: 1 },
};

const keyword = { type: "keyword" };
const payloadIndexes: Readonly<Record<WorkspaceCollectionName, Readonly<Record<string, object>>>> = {
  documents: {
    path: keyword,
    package: keyword,
    language: keyword,
    line: { type: "integer" },
    text: { type: "text", tokenizer: "word", lowercase: true },
  },
  symbols: { path: keyword, package: keyword, language: keyword, line: { type: "integer" } },
  code: { path: keyword, package: keyword, language: keyword, line: { type: "integer" } },
};

/** Returns when every point can be searched and no optimization runs any more. */
export async function loadWorkspace(
  collections: readonly WorkspaceCollection[],
  loader: WorkspaceLoader,
  { clock, progress }: { readonly clock: Clock; readonly progress: Progress },
): Promise<LoadReport> {
  const startedAt = clock.monotonic();
  for (const { name } of collections) {
    await loader.createCollection({ name, config: collectionConfig, payloadIndexes: payloadIndexes[name] });
    for (const [field, definition] of Object.entries(payloadIndexes[name])) {
      await loader.createPayloadIndex(name, field, definition);
    }
  }
  await loader.createAlias({ alias: workspaceAlias, collection: "documents" });
  const total = collections.reduce((sum, { count }) => sum + count, 0);
  let loaded = 0;
  for (const collection of collections) {
    await loadCollection(collection, loader, (points) => {
      loaded += points;
      progress({ step: "load", detail: `${loaded} of ${total} points` });
    });
  }
  progress({ step: "load", detail: "waiting for the indexes" });
  await untilIndexed(
    collections.map(({ name }) => name),
    loader,
    clock,
  );
  return {
    collections: collections.map(({ name, count }) => ({ name, points: count })),
    points: total,
    seconds: (clock.monotonic() - startedAt) / 1000,
  };
}

/** One batch is on its way while the next one is computed. */
async function loadCollection(
  { name, count, points }: WorkspaceCollection,
  loader: WorkspaceLoader,
  onLoaded: (points: number) => void,
): Promise<void> {
  let underWay = Promise.resolve();
  const send = async (batch: readonly WorkspacePoint[]) => {
    await loader.upsert(name, batch, batch.at(-1)?.id === count);
    onLoaded(batch.length);
  };
  let batch: WorkspacePoint[] = [];
  for (const point of points()) {
    batch.push(point);
    if (batch.length < pointsPerBatch && point.id < count) continue;
    await underWay;
    underWay = send(batch);
    batch = [];
  }
  await underWay;
}

async function untilIndexed(names: readonly string[], loader: WorkspaceLoader, clock: Clock): Promise<void> {
  let states = "";
  let green = 0;
  const expired = () =>
    new DrError("QDRANT_REFUSED", `the indexes are not built after ${longestWaitMs / 1000} s (${states})`, {
      hint: "look at the log of the primary; a smaller workspace needs less",
    });
  await waitUntil(clock, { what: "the indexes", withinMs: longestWaitMs, everyMs: pollMs, expired }, async () => {
    const healths = await Promise.all(names.map((name) => loader.health(name)));
    states = names.map((name, index) => `${name}: ${healths[index]}`).join(", ");
    green = healths.every((health) => health === "green") ? green + 1 : 0;
    return green === wantedGreen;
  });
}
