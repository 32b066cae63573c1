import type { Readable } from "node:stream";
import type { KeyRights } from "../domain/health/qdrant-hazards.ts";
import type { PayloadScalar } from "../domain/qdrant/payload-scalars.ts";
import type { NamedVector } from "../domain/qdrant/point-vectors.ts";
import type { SegmentManifest } from "../domain/qdrant/segment-manifest.ts";
import type { ShardKey } from "../domain/qdrant/shard-key-plan.ts";

/** A UUID, or a number up to 2^64 - 1: a bigint where a number cannot hold it exactly. */
export type PointId = number | bigint | string;

export interface StoredPoint {
  readonly id: PointId;
  /** The payload as `parseExactly` reads it; numbers of vectors are plain ones. */
  readonly payload: unknown;
  readonly vector: unknown;
}

/** What is kept of a point that may be of any size; or that it was too large to be read. */
export type SketchedPoint =
  | {
      readonly id: PointId;
      /** One short text for equal payload and vectors. */
      readonly content: string;
      /** Its vectors, unless they are very long. */
      readonly vectors: readonly NamedVector[];
      /** The short values that stand directly in its payload. */
      readonly scalars: readonly PayloadScalar[];
    }
  | { readonly id: PointId; readonly isTooLarge: true };

export interface ShardPlacement {
  readonly id: number;
  readonly key?: ShardKey;
  /** The peer of an Active replica. */
  readonly peer: number;
  readonly peerUrl: string;
}

/** A custom shard key to be made, with so many shards of its own. */
export interface ShardKeyRequest {
  readonly key: ShardKey;
  readonly shards: number;
  /** The collection's own when left out. */
  readonly replicationFactor?: number;
}

export interface CollectionDescription {
  readonly name: string;
  /** Qdrant's `config`, whole. */
  readonly config: Readonly<Record<string, unknown>>;
  /** `payload_schema` without the counts. */
  readonly payloadIndexes: Readonly<Record<string, unknown>>;
}

export interface Alias {
  readonly alias: string;
  readonly collection: string;
}

export interface NearestQuery {
  readonly vector: unknown;
  /** Name of the vector; absent for the unnamed one. */
  readonly using?: string;
  /** Among those alone that have this value in their payload. */
  readonly filter?: PayloadScalar;
  /** Among these points alone. */
  readonly among?: readonly PointId[];
  readonly limit: number;
  /** Search by the index, as clients do; an exact search compares every point, and answers alike on every server. */
  readonly isApproximate?: boolean;
}

export interface Neighbour {
  readonly id: PointId;
  /** Null: not finite, as of a vector with a number beyond those of 32 bits. */
  readonly score: number | null;
}

export interface Optimizations {
  readonly running: number;
  /** One mark for each optimization that was ever begun and is still remembered. */
  readonly begun: readonly string[];
  /** The marks of those that run. */
  readonly underWay: readonly string[];
}

/** A snapshot of all of a collection's shards on one peer, which keeps it until it is deleted. The peer gives the name. */
export interface CollectionSnapshot {
  readonly name: string;
  readonly sha256?: string;
}

/** Describes the servers of a Qdrant region. */
export interface QdrantInspector {
  /** The newest of its peers. Throws SETTING_INVALID when they are not peers of one Qdrant. */
  version(): Promise<string>;
  /** What a server's clock shows, by its last answer; undefined when that did not tell. */
  time(): Promise<Date | undefined>;
  /** Marks of the running processes of those peers that answer: the same Qdrant has the same, by whatever URL. */
  processes(): Promise<string[]>;
  /** The total of those peers' machines, used or not; of the one with the fewest cores, how many it has. */
  machine(): Promise<{ readonly memoryBytes: number; readonly diskBytes: number; readonly cores: number | undefined }>;
  /** Whether it runs in cluster mode, without which there are no custom shard keys. */
  isClustered(): Promise<boolean>;
  /** What the key may do, found out without a change. */
  rights(): Promise<KeyRights>;
  /** Whether it tells its collections to who has no key. */
  answersWithoutKey(): Promise<boolean>;
}

/** The names of all collections that the peers know. */
export interface CollectionList {
  readonly names: string[];
  /** How many peers answered. */
  readonly answered: number;
  /** URLs of the peers that did not answer: they may know more. */
  readonly silent: string[];
}

/** Reads collections as clients see them. */
export interface CollectionReader {
  listCollections(): Promise<CollectionList>;
  /** Their names alone. */
  collections(): Promise<string[]>;
  /** Names of what test restores made beside them: those are in no other list. */
  scratchCollections(): Promise<string[]>;
  describe(collection: string): Promise<CollectionDescription>;
  /** Whether the first peer that answers knows a collection or an alias of this name. */
  exists(collection: string): Promise<boolean>;
  /** Whether one of its shards was left half-made, by a kill or by a restore that failed: nothing can be read of it. */
  isHalfMade(collection: string): Promise<boolean>;
  aliases(): Promise<Alias[]>;
  /** Exact, unless the collection's strict mode forbids that: then nearly. */
  count(collection: string): Promise<number>;
  ids(collection: string): AsyncIterable<PointId>;
  /** Holds all of them: not for points of which nobody knows how large they are. */
  points(collection: string, ids: readonly PointId[]): Promise<StoredPoint[]>;
  /** Those of these points that are there, until `withinBytes` of them came; each in little memory, whatever its size. */
  sketches(collection: string, ids: readonly PointId[], withinBytes?: number): AsyncIterable<SketchedPoint>;
  /** Ids by chance: fewer than `count`, where the collection's strict mode allows no more. */
  sampleIds(collection: string, count: number): Promise<PointId[]>;
  /** The answer to each query, in their order; undefined when the collection's strict mode allows no such search. */
  nearest(collection: string, queries: readonly NearestQuery[]): Promise<Neighbour[][] | undefined>;
  /** A state that is not Active while there is one; then "green", "yellow" (optimizing), "grey" (waiting) or "red". */
  health(collection: string): Promise<string>;
}

export interface ShardLayout {
  readonly shards: ShardPlacement[];
  readonly movements: string[];
  /** How many replicas are not Active, or on peers that do not answer. */
  readonly absent: number;
}

/**
 * What becomes of a shard's other replicas when one is given content. "follow": Qdrant brings them from that one, by what it takes for the
 * difference. By the clocks that come with the content it takes a replica that has held the shard before for equal, and leaves it as it
 * was (tried on 1.16.3): only for replicas that never held anything. "stay": they stay as they are; each is to be given the content.
 */
export type OtherReplicas = "follow" | "stay";

/** Finds shards and reads their files. */
export interface ShardReader {
  /**
   * Every Active replica of every shard, by shard, then by peer. A peer that does not answer is no error as long as each
   * shard has an Active replica that can be asked.
   */
  shards(collection: string): Promise<ShardPlacement[]>;
  /** The same, with transfers of shards and resharding under way, as text: empty when nothing moves. */
  layout(collection: string): Promise<ShardLayout>;
  /**
   * The shard's optimizations as its server remembers them; undefined when it cannot tell. Asked for after the call, or up
   * to `ageMs` milliseconds before it.
   */
  optimizations(
    collection: string,
    shard: ShardPlacement,
    options?: { readonly ageMs?: number },
  ): Promise<Optimizations | undefined>;
  /** When the shard's server began: it counts from then on. */
  processStart(shard: Pick<ShardPlacement, "peerUrl">): Promise<string>;
  /**
   * Another string whenever the shard's server may have become one whose versions do not compare with earlier ones: it was
   * started again, or something was restored into it, by whomever. To be asked before and after what it shall hold for.
   */
  restoreFingerprint(shard: ShardPlacement): Promise<string>;
  /** A tar of what changed since `base` (`{}`: everything); undefined when nothing did. */
  captureShard(
    collection: string,
    shard: ShardPlacement,
    base: SegmentManifest,
    signal?: AbortSignal,
  ): Promise<Readable | undefined>;
  /** The segments that the shard is made of now; undefined when it is not whole: a restore into it was cut off. */
  segments(collection: string, shard: ShardPlacement): Promise<SegmentManifest | undefined>;
  /** Names of the collection's snapshots that the shard's peer keeps, whoever made them. */
  snapshots(collection: string, shard: ShardPlacement): Promise<string[]>;
  /** Makes a snapshot on the shard's peer. After an error it is unknown whether there is one, or will be. */
  createSnapshot(collection: string, shard: ShardPlacement): Promise<CollectionSnapshot>;
  /** The snapshot's tar, whole: ends in an error when bytes are missing or not those that were made. */
  readSnapshot(collection: string, shard: ShardPlacement, snapshot: CollectionSnapshot): Promise<Readable>;
  /** Does nothing when there is none of this name. */
  deleteSnapshot(collection: string, shard: ShardPlacement, name: string): Promise<void>;
}

/**
 * "created": this call made the collection, whatever fails afterwards. "taken": there was one of the name, and this call did
 * nothing. An error without an outcome leaves both possible.
 */
export type CreationOutcome = "created" | "taken";

/** Makes, changes and deletes collections and their aliases. */
export interface CollectionWriter {
  /** Without its strict mode, which would hold for all that is still to be made of it. */
  createCollection(collection: CollectionDescription, onOutcome?: (outcome: CreationOutcome) => void): Promise<void>;
  /** Limits that are not among the settings stay as they are. */
  setStrictMode(collection: string, settings: Readonly<Record<string, unknown>>): Promise<void>;
  createPayloadIndex(collection: string, field: string, definition: unknown): Promise<void>;
  createShardKey(collection: string, request: ShardKeyRequest): Promise<void>;
  deleteShardKey(collection: string, key: ShardKey): Promise<void>;
  /** Returns when all writes are applied that were acknowledged before, also those that did not wait for it. */
  settle(collection: string): Promise<void>;
  /** How many optimizations may run at once; "auto" is Qdrant's own choice. Never to be asked of a collection that optimizes. */
  setOptimizationThreads(collection: string, threads: number | "auto"): Promise<void>;
  deleteCollection(collection: string): Promise<void>;
  /** In one step, wherever the alias led before. */
  createAlias(alias: Alias): Promise<void>;
  deleteAlias(alias: string): Promise<void>;
}

/** What a journal says of points of one collection: JSON as text, so that each number stays as it is written. */
export interface PointChange {
  /** Of a collection with custom shard keys, as JSON. */
  readonly shardKey?: string | undefined;
  /** Ids of points that go, also of those that are written anew: nothing of them is kept. */
  readonly deleted: readonly string[];
  /** Whole points. */
  readonly points: readonly string[];
}

/** Brings what happened to another Qdrant. Each call can be repeated. */
export interface ChangeFollower {
  /**
   * Deletes, then writes; returns when both are applied. It may answer why Qdrant does not take them, however often it is asked: it
   * has no such collection or shard key, or other vectors.
   */
  replacePoints(collection: string, change: PointChange): Promise<"applied" | { readonly refused: string }>;
  deletePayloadIndex(collection: string, field: string): Promise<void>;
  /** Changes what can be changed of a collection that stands, to these settings as Qdrant tells them. */
  changeSettings(collection: string, config: Readonly<Record<string, unknown>>): Promise<void>;
}

/** Replaces the content of shards. */
export interface ShardWriter {
  /** Replaces the content of one replica by the archive's. Others follow unless they are to stay. */
  restoreShard(
    collection: string,
    replica: ShardPlacement,
    archive: AsyncIterable<Uint8Array>,
    others?: OtherReplicas,
  ): Promise<void>;
  /**
   * Makes one replica that which the archive's segment manifests name: files in the archive replace those that are there, files
   * and segments that are not named are removed, and named ones that did not come are taken for equal. Nothing is compared.
   */
  applyDifference(
    collection: string,
    replica: ShardPlacement,
    archive: AsyncIterable<Uint8Array>,
    others?: OtherReplicas,
  ): Promise<void>;
}

/**
 * A Qdrant region: all its peers, of which some may be down. Throws UNREACHABLE (none that could answer does), ACCESS_DENIED or
 * QDRANT_REFUSED.
 */
export interface VectorDatabase
  extends QdrantInspector,
    CollectionReader,
    ShardReader,
    CollectionWriter,
    ChangeFollower,
    ShardWriter {}
