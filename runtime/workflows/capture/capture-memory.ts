/** What a run that captures again and again need not read from the bucket each time: it wrote it itself, or has looked. */
import type { CollectionFacts } from "../../domain/recovery-points/collection-facts.ts";
import type { FolderTree } from "../../domain/recovery-points/folder-tree.ts";
import { newestIdOf } from "../../domain/recovery-points/order.ts";
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import type { ShardTree } from "../../domain/recovery-points/shard-tree.ts";
import type { Brought } from "../../repository/stream/bring-to-history.ts";
import type { KnownBase } from "./find-base.ts";
import type { KnownFingerprints } from "./read/own-fingerprint.ts";

export class CaptureMemory {
  /** Shards' trees that are whole in the bucket. */
  readonly trees = new Map<string, ShardTree>();
  /** Folders' trees that are whole in the bucket, and when a folder was read the last time and was so. */
  readonly folders = new Map<string, { readonly tree: FolderTree; readonly at: Date }>();
  readonly fingerprints: KnownFingerprints = new Map();
  /** Facts of collections that are in the bucket. */
  readonly facts = new Map<string, CollectionFacts>();
  #base: KnownBase | undefined;
  #restore: string | undefined;

  /** What the next capture builds on; undefined when it has to look. */
  get base(): KnownBase | undefined {
    return this.#base;
  }

  /** The newest restore into the region when the base was captured. */
  get restore(): string | undefined {
    return this.#restore;
  }

  /** From here on something is stored that only a recovery point makes known. */
  forget(): void {
    this.#base = undefined;
  }

  /** The same state is kept as this recovery point, too, with trees of its own: the next capture builds on that. */
  standsFor({ folders, recoveryPoint, shards }: Brought, now: Date): void {
    if (this.#base === undefined) return;
    for (const [id, tree] of shards) this.trees.set(id, tree);
    for (const [id, tree] of folders) {
      const { folders: of } = recoveryPoint;
      const at = of.find((each) => each.tree.id === id)?.startedAt;
      if (at !== undefined) this.folders.set(id, { tree, at: new Date(at) });
    }
    this.remember(this.#base, recoveryPoint, this.#restore, now);
  }

  /** The recovery point that was made, or found to be still true. */
  remember(base: KnownBase, recoveryPoint: RecoveryPoint, restore: string | undefined, now: Date): void {
    this.#restore = restore;
    const recoveryPoints = new Map(base.recoveryPoints);
    for (const kind of recoveryPoint.kinds) recoveryPoints.set(kind, recoveryPoint);
    const isKnown = [...base.recoveryPoints.values()].some(({ id }) => id === recoveryPoint.id);
    const newestId = newestIdOf([recoveryPoint.id, base.newestId ?? ""]);
    this.#base = { ...base, recoveryPoints, newestId, knownAt: isKnown ? base.knownAt : now };
    const current = new Set(recoveryPoint.collections.flatMap(({ shards }) => shards.map(({ tree }) => tree.id)));
    for (const id of this.trees.keys()) if (!current.has(id)) this.trees.delete(id);
    const named = new Set(recoveryPoint.collections.map(({ facts }) => facts));
    for (const id of this.facts.keys()) if (!named.has(id)) this.facts.delete(id);
    const folders = new Set([...recoveryPoints.values()].flatMap((each) => each.folders.map(({ tree }) => tree.id)));
    for (const id of this.folders.keys()) if (!folders.has(id)) this.folders.delete(id);
  }
}
