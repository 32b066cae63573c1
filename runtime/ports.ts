/** What workflows need from the world. Adapters implement these; `test/contract` says what each must keep. */
import type { Readable } from "node:stream";
import type { GateMode } from "./domain/estate/gate.ts";
import type { Region } from "./domain/estate/region.ts";
import type { ObjectKind } from "./domain/infrastructure/infrastructure.ts";
import type { KubernetesObject } from "./domain/infrastructure/kubernetes-object.ts";
import type { SegmentManifest } from "./domain/qdrant/segment-manifest.ts";

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
   * @param sha256 of the bytes in hex, where the caller knows it: then nobody computes it again.
   */
  create(key: string, bytes: Uint8Array, sha256?: string): Promise<"created" | "exists">;
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
  /** As clients ask, by the index; without it every point is compared, which answers alike wherever it is asked. */
  readonly isApproximate?: boolean;
}

export interface Neighbour {
  readonly id: PointId;
  readonly score: number;
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

/** A Qdrant region: all its peers, of which some may be down. Throws UNREACHABLE (none that could answer does), ACCESS_DENIED or QDRANT_REFUSED. */
export interface VectorDatabase {
  /** The newest of its peers. */
  version(): Promise<string>;
  /** Marks of the running processes of those peers that answer: the same Qdrant has the same, by whatever URL. */
  processes(): Promise<string[]>;
  /** What the machines of those peers have in all, used or not. */
  machine(): Promise<{ readonly memoryBytes: number; readonly diskBytes: number }>;
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
  /** The same, and the transfers of shards and resharding under way, in words: none when nothing moves. */
  layout(collection: string): Promise<{ readonly shards: ShardPlacement[]; readonly movements: string[] }>;
  /** Exact, unless the collection's strict mode forbids that: then nearly. */
  count(collection: string): Promise<number>;
  ids(collection: string): AsyncIterable<PointId>;
  points(collection: string, ids: readonly PointId[]): Promise<StoredPoint[]>;
  /** Fewer than `count`, where the collection's strict mode allows no more. */
  sample(collection: string, count: number): Promise<StoredPoint[]>;
  /** The answer to each query, in their order; undefined when the collection's strict mode allows no such search. */
  nearest(collection: string, queries: readonly NearestQuery[]): Promise<Neighbour[][] | undefined>;
  /**
   * The shard's optimizations as its server remembers them; undefined when it cannot tell. Asked for after the call, or up
   * to `ageMs` milliseconds before it.
   */
  optimizations(
    collection: string,
    shard: ShardPlacement,
    options?: { readonly ageMs?: number },
  ): Promise<Optimizations | undefined>;
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
  createCollection(collection: CollectionDescription): Promise<void>;
  createPayloadIndex(collection: string, field: string, definition: unknown): Promise<void>;
  createShardKey(collection: string, request: ShardKeyRequest): Promise<void>;
  deleteShardKey(collection: string, key: string | number): Promise<void>;
  /** Replaces the shard's content by the archive's. */
  restoreShard(collection: string, shard: ShardPlacement, archive: AsyncIterable<Uint8Array>): Promise<void>;
  /**
   * Makes the shard that which the archive's segment manifests name: files in the archive replace those that are there, files
   * and segments that are not named are removed, and named ones that did not come are taken for equal. Nothing is compared.
   */
  applyDifference(collection: string, shard: ShardPlacement, archive: AsyncIterable<Uint8Array>): Promise<void>;
  /** Returns when all writes are applied that were acknowledged before, also those that did not wait for it. */
  settle(collection: string): Promise<void>;
  /** How many optimizations may run at once; "auto" is Qdrant's own choice. Never to be asked of a collection that optimizes. */
  setOptimizationThreads(collection: string, threads: number | "auto"): Promise<void>;
  /** A state that is not Active while there is one; then "green", "yellow" (optimizing), "grey" (waiting) or "red". */
  health(collection: string): Promise<string>;
  deleteCollection(collection: string): Promise<void>;
  /** In one step, wherever the alias led before. */
  createAlias(alias: Alias): Promise<void>;
  deleteAlias(alias: string): Promise<void>;
}

/** The prepared control that moves the public name; it needs no `up`. */
export interface TrafficControl {
  current(): Promise<{ readonly region: string; readonly epoch: number } | undefined>;
  /** Refused with EPOCH_CONFLICT when the control has seen a newer epoch. */
  pointTo(target: { readonly region: string; readonly epoch: number }): Promise<void>;
}

export interface GateState {
  readonly isOpen: boolean;
  readonly mode: GateMode;
  /** For people: why it is open or closed. */
  readonly reason: string;
  /** The newest epoch that its guard has seen. */
  readonly epoch?: number | undefined;
  /** Requests that it let through and that have no answer yet. */
  readonly inFlight: number;
  /** Requests that were cut off since it started because they took too long when it closed. */
  readonly cut: number;
}

/** The gate in front of a region's Qdrant: where writes stop. Throws UNREACHABLE or ACCESS_DENIED. */
export interface Gate {
  /** Has its guard look at the records at once; answers what came of it. */
  look(): Promise<GateState>;
  /** As it is, without a look. */
  state(): Promise<GateState>;
}

export interface FailoverHookEvent {
  readonly when: "before" | "after";
  readonly step: string;
  readonly epoch: number;
  /** The region that is promoted. */
  readonly region: string;
  readonly run: string;
}

/** What an operator wants done around a failover's steps. Throws HOOK_FAILED when the failover must not go on. */
/** Asks the region that is promoted; answers how long the slowest search took. */
export type AskQueries = () => Promise<{ readonly ms: number; readonly collection?: string }>;

export type FailoverHooks = (event: FailoverHookEvent) => Promise<void>;

export interface StackEvent {
  readonly kind: "resource" | "message";
  readonly text: string;
}

/** Throws STACK_NOT_FOUND or PULUMI_FAILED. */
export interface StackExports {
  /** The stack's state as `pulumi stack import` takes it; its secrets stay encrypted by the stack's own provider. */
  exportState(stack: string): Promise<{ readonly state: string; readonly changedAt: Date }>;
}

/** The stacks of this project, driven through the Automation API. Throws STACK_NOT_FOUND or PULUMI_FAILED. */
export interface Stacks {
  region(stack: string): Promise<Region>;
  up(
    stack: string,
    onEvent: (event: StackEvent) => void,
  ): Promise<{ readonly changes: Readonly<Record<string, number>> }>;
  /** What `up` would change now, by operation, compared with what is really there. Changes nothing. */
  preview(stack: string): Promise<{ readonly changes: Readonly<Record<string, number>> }>;
}

/** What stands in a folder, as it was seen last. */
export interface FoundEntry {
  /** Below the folder, with `/` between names; `.` is the folder itself. */
  readonly path: string;
  readonly type: "file" | "directory" | "symlink";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modifiedAt: Date;
  /** Files: bytes, without holes. */
  readonly size: number;
  /** Symlinks: as the link says. */
  readonly target?: string;
  /** Files: what tells on this machine that nothing of them changed, and when something last did. */
  readonly seen?: string;
  readonly changedAt?: Date;
}

export interface OpenFile {
  readonly entry: FoundEntry;
  /** At most `entry.size` bytes, in order. */
  readonly content: AsyncIterable<{ readonly offset: number; readonly bytes: Uint8Array }>;
  /** To be called in any case; tells whether all that was read is of one state of the file. */
  close(): Promise<{ readonly isConsistent: boolean }>;
}

/** A folder to read. Throws CAPTURE_INCOMPLETE naming what cannot be read. */
export interface FolderSource {
  /** Absent when it stands for something that is no folder. */
  readonly path?: string;
  /** False when there is nothing at the path. */
  exists(): Promise<boolean>;
  /**
   * What of the folder is wanted, in a fixed order, a directory before what it holds. What vanishes meanwhile is left
   * out; what is neither file, directory nor link is told.
   */
  entries(tell: (skipped: { readonly path: string; readonly type: string }) => void): AsyncIterable<FoundEntry>;
  /** Undefined when it is gone, or no file any more. A database comes as one consistent file. */
  open(path: string): Promise<OpenFile | undefined>;
}

/** A folder that tells when something in it may have changed. */
export interface WatchedFolder extends FolderSource {
  /** Tells until the returned function is called; that it is `broken`, when it can tell no longer. */
  watch(told: { changed(): void; broken(why: string): void }): () => void;
}

/** What is set of an entry once its content stands. */
export type EntryAttributes = Pick<FoundEntry, "path" | "type" | "mode" | "uid" | "gid" | "modifiedAt">;

/** A folder that is made beside its place, so that nothing half-made ever stands there. */
export interface FolderDraft {
  directory(path: string): Promise<void>;
  symlink(path: string, target: string): Promise<void>;
  /** Zeros outside of what is given. On disk when this returns. */
  file(
    path: string,
    size: number,
    content: AsyncIterable<{ readonly offset: number; readonly bytes: Uint8Array }>,
  ): Promise<void>;
  /** The file as it stands on disk. */
  read(path: string): AsyncIterable<Uint8Array>;
  /**
   * Sets the attributes and moves the draft to its place. What stands there is kept as `keepAs`, or another free name;
   * without that it is refused with TARGET_NOT_EMPTY.
   */
  place(entries: readonly EntryAttributes[], keepAs?: string): Promise<PlacedFolder>;
  discard(): Promise<void>;
}

export interface PlacedFolder {
  /** Where what stood there is now. */
  readonly keptAs?: string;
  /** Entries whose owner could not be set: that needs root. */
  readonly notOwned: readonly string[];
}

/** Folders of this machine to write. */
export interface FolderTarget {
  /** What stands at the path; of a volume, what is in it cannot be kept under another name. */
  look(path: string): Promise<{ readonly state: "missing" | "empty" | "occupied"; readonly isVolume: boolean }>;
  /** A draft for this place. What earlier drafts for it left that were cut off is removed. */
  draft(path: string): Promise<FolderDraft>;
}

export interface InfrastructureDocument {
  /** Its place in the captured folder. */
  readonly path: string;
  readonly bytes: Uint8Array;
  /** When somebody last changed what it tells. */
  readonly changedAt: Date;
}

/** The infrastructure around a region's Qdrant, as documents. Throws rather than leave one out. */
export interface InfrastructureSource {
  documents(): AsyncIterable<InfrastructureDocument>;
}

export interface FieldConflict {
  readonly field: string;
  /** Who set it to another value. */
  readonly owner: string;
}

export type ApplyOutcome =
  | { readonly outcome: "applied"; readonly object: KubernetesObject }
  | { readonly outcome: "conflict"; readonly conflicts: readonly FieldConflict[] }
  /** The cluster does not take it as it is. */
  | { readonly outcome: "refused"; readonly reason: string };

/** A Kubernetes cluster. Throws UNREACHABLE or ACCESS_DENIED, and KUBERNETES_REFUSED for what is no object's fault. */
export interface Cluster {
  /** For people: which cluster this is. */
  readonly name: string;
  serves(kind: ObjectKind): Promise<boolean>;
  hasNamespace(name: string): Promise<boolean>;
  /**
   * Every object of a kind, as it was at one instant for each namespace. Objects that belong to no namespace are
   * given whatever the namespaces. Throws CAPTURE_INCOMPLETE when a list ends short.
   */
  objects(kind: ObjectKind, namespaces: readonly string[], selector?: string): AsyncIterable<KubernetesObject>;
  /** The live object with the name of this one. */
  object(like: KubernetesObject): Promise<KubernetesObject | undefined>;
  /** Server-side apply; `force` takes fields over from others. A rehearsal changes nothing. */
  apply(
    object: KubernetesObject,
    mode: { readonly force: boolean; readonly isRehearsal: boolean },
  ): Promise<ApplyOutcome>;
}

export interface Clock {
  now(): Date;
}

/** What runs a workflow. */
export interface Runner {
  /** By which it is known afterwards; undefined where nothing tells it apart. */
  readonly mark: string | undefined;
  /** Whether it is certain that the one with this mark has ended; never a guess. */
  isDead(mark: string): boolean;
}

/** What a person or a program is told while work goes on. */
export type Progress = (event: ProgressEvent) => void;

export interface ProgressEvent {
  readonly step: string;
  readonly detail?: string;
  /** How much of long work is done, `seconds` after it began. */
  readonly amount?: {
    readonly bytes: number;
    readonly done: number;
    readonly total: number;
    /** What `done` and `total` count. */
    readonly unit: string;
    readonly seconds: number;
  };
}
