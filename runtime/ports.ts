/** What workflows need from the world. Adapters implement these; `test/contract` says what each must keep. */
import type { Readable } from "node:stream";
import type { Region } from "./domain/region.ts";
import type { SegmentManifest } from "./domain/segment-manifest.ts";

export interface StoredObject {
  readonly key: string;
  readonly size: number;
}

export interface ObjectStoreReader {
  /** The whole object, or `length` bytes from `offset`. Throws OBJECT_NOT_FOUND. Never answers short. */
  get(key: string, range?: { readonly offset: number; readonly length: number }): Promise<Buffer>;
  /** Every object whose key starts with `prefix`, once, in any order. Throws rather than ending early. */
  list(prefix: string): AsyncIterable<StoredObject>;
}

export interface ObjectStore extends ObjectStoreReader {
  /**
   * Writes the object unless the key exists; then nothing changes and the answer is "exists". Safe to repeat: after an
   * error it is unknown whether the object was written, and a second call tells.
   */
  create(key: string, bytes: Uint8Array): Promise<"created" | "exists">;
}

/** Makes a secret readable for holders of certain keys only. */
export interface KeyWrap {
  wrap(secret: string): Promise<Uint8Array>;
  /** Throws KEY_UNAVAILABLE when this holder's key does not open it. */
  unwrap(wrapped: Uint8Array): Promise<string>;
}

export type PointId = number | string;

export interface StoredPoint {
  readonly id: PointId;
  readonly payload: unknown;
  readonly vector: unknown;
}

export interface ShardPlacement {
  readonly id: number;
  readonly key?: string | number;
  /** Where an Active replica is. */
  readonly peer: number;
  readonly peerUrl: string;
}

/** A custom shard key to be made, with so many shards of its own. */
export interface ShardKeyRequest {
  readonly key: string | number;
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
  readonly limit: number;
}

export interface Optimizations {
  readonly running: number;
  /** One mark for each optimization that was ever begun and is still remembered. */
  readonly begun: readonly string[];
}

/** A Qdrant region: all its peers, of which some may be down. Throws UNREACHABLE (none that could answer does), ACCESS_DENIED or QDRANT_REFUSED. */
export interface VectorDatabase {
  /** The newest of its peers. */
  version(): Promise<string>;
  /** Whether it runs in cluster mode, without which there are no custom shard keys. */
  isClustered(): Promise<boolean>;
  collections(): Promise<string[]>;
  describe(collection: string): Promise<CollectionDescription>;
  aliases(): Promise<Alias[]>;
  /**
   * Every Active replica of every shard, by shard, then by peer. A peer that does not answer is no error as long as each
   * shard has an Active replica that can be asked.
   */
  shards(collection: string): Promise<ShardPlacement[]>;
  /** Transfers of shards and resharding under way, in words; empty when nothing moves. */
  movements(collection: string): Promise<string[]>;
  count(collection: string): Promise<number>;
  ids(collection: string): AsyncIterable<PointId>;
  points(collection: string, ids: readonly PointId[]): Promise<StoredPoint[]>;
  sample(collection: string, count: number): Promise<StoredPoint[]>;
  nearest(collection: string, query: NearestQuery): Promise<{ id: PointId; score: number }[]>;
  /** The shard's optimizations as its server remembers them; undefined when it cannot tell. */
  optimizations(collection: string, shard: ShardPlacement): Promise<Optimizations | undefined>;
  /**
   * Another string whenever the shard's server may have become one whose versions do not compare with earlier ones: it was
   * started again, or something was restored into it, by whomever. To be asked before and after what it shall hold for.
   */
  history(shard: ShardPlacement): Promise<string>;
  /** A tar of what changed since `base` (`{}`: everything); undefined when nothing did. */
  captureShard(
    collection: string,
    shard: ShardPlacement,
    base: SegmentManifest,
    signal?: AbortSignal,
  ): Promise<Readable | undefined>;
  createCollection(collection: CollectionDescription): Promise<void>;
  createPayloadIndex(collection: string, field: string, definition: unknown): Promise<void>;
  createShardKey(collection: string, request: ShardKeyRequest): Promise<void>;
  deleteShardKey(collection: string, key: string | number): Promise<void>;
  /** Replaces the shard's content by the archive's. */
  restoreShard(collection: string, shard: ShardPlacement, archive: AsyncIterable<Uint8Array>): Promise<void>;
  /** A state that is not Active while there is one; then "green", "yellow" (optimizing), "grey" (waiting) or "red". */
  health(collection: string): Promise<string>;
  deleteCollection(collection: string): Promise<void>;
  createAlias(alias: Alias): Promise<void>;
}

/** The prepared control that moves the public name; it needs no `up`. */
export interface TrafficControl {
  current(): Promise<{ readonly region: string; readonly epoch: number } | undefined>;
  /** Refused with EPOCH_CONFLICT when the control has seen a newer epoch. */
  pointTo(target: { readonly region: string; readonly epoch: number }): Promise<void>;
}

export interface StackEvent {
  readonly kind: "resource" | "message";
  readonly text: string;
}

/** The stacks of this project, driven through the Automation API. Throws STACK_NOT_FOUND or PULUMI_FAILED. */
export interface Stacks {
  region(stack: string): Promise<Region>;
  up(
    stack: string,
    onEvent: (event: StackEvent) => void,
  ): Promise<{ readonly changes: Readonly<Record<string, number>> }>;
}

export interface Clock {
  now(): Date;
}

/** What a person or a program is told while work goes on. */
export type Progress = (event: { readonly step: string; readonly detail?: string }) => void;
