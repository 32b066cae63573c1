/**
 * A region's recovery points: sealed objects in its repository store, wrapped keys in its control store. Objects are
 * created, and deleted by a prune alone. Order of writing: packs, trees and facts, manifest; a manifest therefore never names what is not there.
 */
import { randomUUID } from "node:crypto";
import type { z } from "zod";
import { canonicalJson } from "../domain/exact-json.ts";
import { clockToleranceMs } from "../domain/history/decide-kept.ts";
import { type LockEnd, lockEndBy, lockEndOf } from "../domain/history/lock-end.ts";
import { longestReachOf } from "../domain/history/retention.ts";
import {
  type CollectionFacts,
  collectionFactsSchema,
  type NamedFacts,
} from "../domain/recovery-points/collection-facts.ts";
import type { DataKey } from "../domain/recovery-points/key.ts";
import type { KeyGeneration } from "../domain/recovery-points/key-generation.ts";
import {
  type RecoveryPoint,
  type Repository,
  recoveryPointSchema,
  repositorySchema,
} from "../domain/recovery-points/recovery-point.ts";
import { nameOf, seal, unseal } from "../domain/recovery-points/sealing.ts";
import { largestTree } from "../domain/recovery-points/shard-tree.ts";
import {
  type ContentKind,
  contentKey,
  keyBelowStream,
  parseContentKey,
  storeLayout,
} from "../domain/recovery-points/store-layout.ts";
import type { Pack } from "../domain/recovery-points/stored-content.ts";
import { DrError, hasCode } from "../errors.ts";
import type { KeyWrap } from "../ports/key-wrap.ts";
import type { ObjectStore } from "../ports/object-store.ts";
import { CachingStore } from "./content/caching-store.ts";
import { KeyRing } from "./content/key-ring.ts";
import { lockNeeded, lockObject } from "./content/lock-recovery-point.ts";
import { readHealed } from "./control/heal-records.ts";
import { newestKeyGeneration } from "./control/key-generations.ts";
import { healedStore } from "./healed-store.ts";
import { JournalReader } from "./journal/journal-reader.ts";
import { type Locking, LockingStore } from "./locking-store.ts";
import { lockedCandidateOf } from "./prune/candidates.ts";
import {
  claimRecord,
  getWhole,
  parseRecord,
  readRecord,
  refuseIfTooLarge,
  serialiseRecord,
  unlessMissing,
} from "./record.ts";
import { descriptionGone, firstManifest } from "./repository-description.ts";
import { StreamStore } from "./stream/stream-store.ts";

const keyIdLength = 32;

interface OpenedContent {
  readonly key: DataKey;
  readonly plain: Buffer;
}

export interface RegionStores {
  readonly repository: ObjectStore;
  readonly control: ObjectStore;
}

export class OpenRepository {
  readonly stores: RegionStores;
  readonly keys: KeyRing;
  readonly description: Repository;

  readonly #history: OpenRepository | undefined;
  #generation: Promise<KeyGeneration | undefined> | undefined;

  readonly #locking: Locking | undefined;

  /** @param history what it is with a stream. */
  private constructor(
    stores: RegionStores,
    keys: KeyRing,
    description: Repository,
    { history, locking }: { readonly history?: OpenRepository; readonly locking?: Locking | undefined } = {},
  ) {
    this.#history = history;
    this.#locking = locking;
    this.stores = stores;
    this.keys = keys;
    this.description = description;
  }

  /** Throws RECOVERY_POINT_NOT_FOUND when the store holds no repository. */
  static async open(stores: RegionStores, wrap: KeyWrap): Promise<OpenRepository> {
    try {
      const description = await readRecord(stores.repository, storeLayout.repository, repositorySchema);
      const repository = await healedStore(stores.repository, await readHealed(stores.control));
      return new OpenRepository({ ...stores, repository }, new KeyRing(stores.control, wrap), description);
    } catch (error) {
      if (!hasCode(error, "OBJECT_NOT_FOUND")) throw error;
      if ((await firstManifest(stores.repository)) !== undefined) throw descriptionGone(error);
      throw new DrError("RECOVERY_POINT_NOT_FOUND", "the bucket holds no recovery points yet", {
        hint: "take one with `qdrant-dr backup`, or bring them with `qdrant-dr copy`",
        cause: error,
      });
    }
  }

  /** As a repository would be that is described so. */
  static describedBy(description: Repository, stores: RegionStores, wrap: KeyWrap): OpenRepository {
    return new OpenRepository(stores, new KeyRing(stores.control, wrap), description);
  }

  /** Opens the repository, or makes it where there is none. Two makers at once agree on the first. */
  static async openOrCreate(stores: RegionStores, wrap: KeyWrap): Promise<OpenRepository> {
    try {
      return await OpenRepository.open(stores, wrap);
    } catch (error) {
      if (!hasCode(error, "RECOVERY_POINT_NOT_FOUND")) throw error;
    }
    const key = await new KeyRing(stores.control, wrap).make("repository");
    const description: Repository = { format: 1, id: randomUUID(), key: key.id };
    await claimRecord(stores.repository, storeLayout.repository, repositorySchema, description);
    return OpenRepository.open(stores, wrap);
  }

  /** The same, for who reads back what it wrote a moment ago: what is named by its content is kept in memory, up to `mostBytes`. */
  remembering(mostBytes: number): OpenRepository {
    const { control, repository } = this.history.stores;
    const stores = { control, repository: new CachingStore(repository, mostBytes, isNamedByContent) };
    const remembering = new OpenRepository(stores, this.keys, this.description, { locking: this.history.#locking });
    return this.#history === undefined ? remembering : remembering.withStream();
  }

  /** The same with its stream: what is written goes there, and what is read is found in both. */
  withStream(): OpenRepository {
    if (this.#history !== undefined) return this;
    const { control, repository } = this.stores;
    const stores = { control, repository: new StreamStore(repository) };
    return new OpenRepository(stores, this.keys, this.description, { history: this });
  }

  /** The same, for who makes recovery points: where the store keeps locks, each is locked as long as the schedule will want it. */
  lockedBy(locking: Locking): OpenRepository {
    const { control, repository } = this.history.stores;
    const stores = { control, repository: new LockingStore(repository, locking) };
    const locked = new OpenRepository(stores, this.keys, this.description, { locking });
    return this.#history === undefined ? locked : locked.withStream();
  }

  /** The same without its stream. */
  get history(): OpenRepository {
    return this.#history ?? this;
  }

  /** The other region's journal, which is kept here. */
  journalOf(region: string): JournalReader {
    return new JournalReader(this.history.stores.repository, region, this.keys.wrap);
  }

  /** Seals the records of this repository, and names its data keys. */
  async sealingKey(): Promise<DataKey> {
    return this.keys.key((await this.#newestGeneration())?.key ?? this.description.key);
  }

  /** Whether nothing new may be sealed with a data key, because an operator has begun new ones since it was made. */
  async isRetired({ under }: DataKey): Promise<boolean> {
    const generation = await this.#newestGeneration();
    return generation !== undefined && (under === undefined || generation.retired.includes(under));
  }

  /** As of the first time that it is asked for: what has begun to capture goes on with the keys that it began with. */
  #newestGeneration(): Promise<KeyGeneration | undefined> {
    this.#generation ??= newestKeyGeneration(this.stores.control).then((newest) => newest?.record);
    this.#generation.catch(() => {
      this.#generation = undefined;
    });
    return this.#generation;
  }

  /**
   * Commits a recovery point. What it needs is locked before, where the store keeps locks, and the locks are read back.
   * @param before older ones that can be restored: those that it was compared with.
   */
  async createRecoveryPoint(recoveryPoint: RecoveryPoint, before: readonly RecoveryPoint[] = []): Promise<void> {
    const end = this.#lockEndOf(recoveryPoint, before);
    await this.commitRecoveryPoint(recoveryPoint, end && (await lockNeeded(this, recoveryPoint, end, before)));
  }

  /** Commits a recovery point of which all that it needs is locked. */
  async commitRecoveryPoint(
    recoveryPoint: RecoveryPoint,
    end: Pick<LockEnd, "extended" | "needed"> | undefined,
  ): Promise<void> {
    const place = storeLayout.manifest(recoveryPoint.id);
    const bytes = await this.sealRecord(place, recoveryPointSchema, recoveryPoint);
    await this.stores.repository.create(place, bytes, undefined, end?.extended);
    const locks = await this.stores.repository.locks?.();
    if (locks !== undefined && end !== undefined) await lockObject(locks, place, end);
    // Read back whatever was answered: a write that was repeated after a lost answer finds its own object there.
    if (canonicalJson(await this.readRecoveryPoint(recoveryPoint.id)) === canonicalJson(recoveryPoint)) return;
    throw new DrError("STORE_REFUSED", `another recovery point ${recoveryPoint.id} exists already`, {
      hint: "run it again",
    });
  }

  /**
   * Locks one that is there, and what it needs, for longer: until then, and never for longer than retention keeps anything.
   * @param wantedUntil left out: nobody knows; until a prune comes again.
   */
  async lockFurther(recoveryPoint: RecoveryPoint, wantedUntil?: Date): Promise<void> {
    const locks = await this.stores.repository.locks?.();
    if (this.#locking === undefined || locks === undefined) return;
    const { clock, retention } = this.#locking;
    const end = lockEndBy(retention, wantedUntil, clock.now());
    const manifest = storeLayout.manifest(recoveryPoint.id);
    const lockedUntil = await locks.lockedUntil(manifest);
    if (lockedUntil !== undefined && lockedUntil >= end.needed) return;
    const locked = (await lockNeeded(this, recoveryPoint, end)) ?? end;
    // What was said of it counts as long as it is there.
    const said = this.stores.repository.list(storeLayout.attestations(recoveryPoint.id));
    for await (const { key } of said) await lockObject(locks, key, locked);
    await lockObject(locks, manifest, locked);
  }

  /** For what must be there as long as anything that may need it; undefined for who locks nothing. */
  get longestLock(): Date | undefined {
    if (this.#locking === undefined) return undefined;
    const { clock, retention } = this.#locking;
    return new Date(clock.now().getTime() + longestReachOf(retention));
  }

  #lockEndOf(recoveryPoint: RecoveryPoint, before: readonly RecoveryPoint[]): LockEnd | undefined {
    const locking = this.#locking;
    if (locking === undefined) return undefined;
    const end = lockEndOf(lockedCandidateOf(recoveryPoint), before.map(lockedCandidateOf), locking.retention);
    // Of a capture that took longer than retention reaches there is nothing to lock. The store's clock may be ahead.
    return end.needed.getTime() > locking.clock.now().getTime() + clockToleranceMs ? end : undefined;
  }

  readRecoveryPoint(id: string): Promise<RecoveryPoint> {
    return this.readRecord(storeLayout.manifest(id), recoveryPointSchema);
  }

  /** Seals a record of this repository under its place; what is there already stays. */
  async createRecord<Record>(place: string, schema: z.ZodType<Record>, record: Record): Promise<"created" | "exists"> {
    return this.stores.repository.create(place, await this.sealRecord(place, schema, record));
  }

  /** The bytes that stand for a record under its place. */
  async sealRecord<Record>(place: string, schema: z.ZodType<Record>, record: Record): Promise<Buffer> {
    const plain = serialiseRecord(schema, place, record);
    const key = await this.sealingKey();
    const bytes = Buffer.concat([Buffer.from(key.id), seal(key, this.#recordName(place), plain)]);
    refuseIfTooLarge(place, bytes);
    return bytes;
  }

  async readRecord<Record>(place: string, schema: z.ZodType<Record>): Promise<Record> {
    const bytes = await getWhole(this.stores.repository, place);
    return parseRecord(schema, place, await this.#unseal(this.#recordName(place), bytes));
  }

  /**
   * Stores a tree under the keyed name of its content; the same content is stored once, and costs nothing when it is that
   * of `before`.
   */
  async createTree<Tree extends { readonly packs: readonly Pack[] }>(
    key: DataKey,
    schema: z.ZodType<Tree>,
    tree: Tree,
    before?: { readonly id: string; readonly size: number },
  ): Promise<{ id: string; size: number }> {
    const plain = serialiseRecord(schema, "a tree", tree);
    if (plain.length > largestTree) {
      throw new DrError("NOT_SUPPORTED", `a folder or shard has too many files for one tree (${plain.length} bytes)`, {
        hint: "capture a folder in several parts, each with a name of its own",
      });
    }
    const id = nameOf(key, plain);
    if (id === before?.id) return { ...before };
    const { answer, size } = await this.#createNamed("tree", id, key, plain);
    if (answer === "created") return { id, size };
    return { id, size: (await getWhole(this.stores.repository, storeLayout.tree(id))).length };
  }

  async readTree<Tree>(id: string, schema: z.ZodType<Tree>): Promise<Tree> {
    const { plain } = await this.#readNamed("tree", id);
    return parseRecord(schema, storeLayout.tree(id), plain);
  }

  /** The keyed name of facts, which is that of their content. */
  nameFacts(key: DataKey, facts: CollectionFacts): string {
    return nameOf(key, serialiseRecord(collectionFactsSchema, "facts of a collection", facts));
  }

  /** Stores facts under their name; the same facts are stored once. */
  async createFacts(key: DataKey, facts: CollectionFacts): Promise<string> {
    const plain = serialiseRecord(collectionFactsSchema, "facts of a collection", facts);
    const id = nameOf(key, plain);
    await this.#createNamed("facts", id, key, plain);
    return id;
  }

  /** Throws OBJECT_CORRUPT when they are not those that are named. */
  async readFacts({
    facts: id,
    key: keyId,
    name,
  }: Pick<NamedFacts, "facts" | "key" | "name">): Promise<CollectionFacts> {
    const { key, plain } = await this.#readNamed("facts", id);
    if (key.id === keyId) return parseRecord(collectionFactsSchema, storeLayout.collectionFacts(id), plain);
    throw new DrError(
      "OBJECT_CORRUPT",
      `${storeLayout.collectionFacts(id)} is sealed with the key of another collection than ${name}`,
      {
        hint: "use another recovery point",
      },
    );
  }

  /** Throws OBJECT_CORRUPT unless these bytes are what is sealed for this place: a tree, facts or a record. */
  async checkSealed(place: string, bytes: Buffer): Promise<void> {
    const content = parseContentKey(place);
    if (content === undefined) await this.#unseal(this.#recordName(place), bytes);
    else await this.#openNamed(content.kind, content.id, bytes);
  }

  async #createNamed(kind: ContentKind, id: string, key: DataKey, plain: Buffer) {
    const bytes = Buffer.concat([Buffer.from(key.id), seal(key, contentName(kind, id), plain)]);
    const answer = await this.stores.repository.create(contentKey(kind, id), bytes);
    return { answer, size: bytes.length };
  }

  async #readNamed(kind: ContentKind, id: string): Promise<OpenedContent> {
    return this.#openNamed(kind, id, await getWhole(this.stores.repository, contentKey(kind, id)));
  }

  /** What is not what its name says does not count, whoever sealed it. */
  async #openNamed(kind: ContentKind, id: string, bytes: Buffer): Promise<OpenedContent> {
    const opened = await this.#open(contentName(kind, id), bytes);
    if (nameOf(opened.key, opened.plain) === id) return opened;
    throw new DrError("OBJECT_CORRUPT", `${contentKey(kind, id)} does not hold what its name says`, {
      hint: "verify the recovery point in the other region's bucket, and capture a full one",
    });
  }

  #recordName(place: string): string {
    return `${this.description.id} ${place}`;
  }

  async #unseal(name: string, bytes: Buffer): Promise<Buffer> {
    const { key, plain } = await this.#open(name, bytes);
    if (key.purpose === "repository") return plain;
    throw new DrError("OBJECT_CORRUPT", `${name} is not sealed with a key of the repository`, {
      hint: "verify the recovery point in the other region's bucket, and capture a full one",
    });
  }

  async #open(name: string, bytes: Buffer): Promise<OpenedContent> {
    const keyId = keyIdOf(bytes);
    if (!/^[0-9a-f]{32}$/.test(keyId)) {
      throw new DrError("OBJECT_CORRUPT", `${name} is not sealed as this tool does it: changed or cut`, {
        hint: "verify the recovery point in the other region's bucket, and capture a full one",
      });
    }
    const key = await this.#keyOf(name, keyId);
    return { key, plain: unseal(key, name, bytes.subarray(keyIdLength), largestTree) };
  }

  /** Throws OBJECT_CORRUPT when the key is missing: OBJECT_NOT_FOUND would say that the object itself is. */
  async #keyOf(name: string, keyId: string): Promise<DataKey> {
    const key = await unlessMissing(this.keys.key(keyId));
    if (key !== undefined) return key;
    throw new DrError("OBJECT_CORRUPT", `${name} names the key ${keyId}, which is not in this region's control store`, {
      hint: "it was changed; or bring the key with `qdrant-dr copy` from the region that has it",
    });
  }
}

/** The key that a tree, facts or a record is sealed with. */
export function keyIdOf(sealed: Buffer): string {
  return sealed.subarray(0, keyIdLength).toString("latin1");
}

function contentName(kind: ContentKind, id: string): string {
  return `${kind} ${id}`;
}

/** Packs, trees and facts: their names stand for their content. */
function isNamedByContent(key: string): boolean {
  return parseContentKey(keyBelowStream(key) ?? key) !== undefined;
}
