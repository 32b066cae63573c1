/**
 * Makes a recovery point of the history of a state of the stream: what it needs is brought beside what the history has, verified, its
 * manifest last.
 */
import { type FolderTree, filesOf, folderTreeSchema } from "../../domain/recovery-points/folder-tree.ts";
import type { CapturedCollection, CapturedFolder, RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { type ShardTree, shardTreeSchema } from "../../domain/recovery-points/shard-tree.ts";
import {
  type ContentKind,
  contentKey,
  contentPrefix,
  keyBelowStream,
  parseContentKey,
  storeLayout,
} from "../../domain/recovery-points/store-layout.ts";
import { hasCode } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import type { Progress } from "../../ports/progress.ts";
import { doubtMade } from "../catalog/attest.ts";
import { keepSessionAlive, signalSession } from "../catalog/capture-session.ts";
import type { KnownFiles } from "../content/content-writer.ts";
import { objectsNeeded } from "../content/objects-needed.ts";
import { lookAtPrunes, refusePruned } from "../prune/prune-sight.ts";
import { getWhole, keysUnder } from "../record.ts";
import type { OpenRepository } from "../repository.ts";
import { whenReadable } from "../when-readable.ts";
import { gatherFiles, isStreamedTree } from "./gather-files.ts";

export interface BringRequest {
  /** With its stream. */
  readonly repository: OpenRepository;
  readonly state: RecoveryPoint;
  /** What it is called in the history. */
  readonly id: string;
  /** The last recovery point of the history: what is as it was there is not stored again. */
  readonly before: RecoveryPoint | undefined;
  readonly clock: Clock;
  readonly progress: Progress;
}

export interface Brought {
  readonly recoveryPoint: RecoveryPoint;
  /** Its trees, those that were made for it. */
  readonly shards: ReadonlyMap<string, ShardTree>;
  readonly folders: ReadonlyMap<string, FolderTree>;
}

export async function bringToHistory(request: BringRequest): Promise<Brought> {
  const { clock, id, progress, repository, state } = request;
  const { history } = repository;
  const { control } = history.stores;
  const prunes = await lookAtPrunes(control);
  const stopSigns = await announce(request);
  try {
    const bringer = new Bringer(request, await streamedIds(history.stores.repository));
    const collections = await inOrder(state.collections, (each) => bringer.collection(each));
    const folders = await inOrder(state.folders, (each) => bringer.folder(each));
    const kept: RecoveryPoint = { ...state, id, collections, folders };
    const refuse = () => refusePruned(control, prunes, () => objectsNeeded(history, kept));
    await refuse();
    await history.createRecoveryPoint(kept, request.before === undefined ? [] : [request.before]);
    try {
      await refuse();
    } catch (error) {
      // It is there by now, and must not be taken for one that is whole.
      if (hasCode(error, "CAPTURE_INCOMPLETE")) {
        await doubtMade(history, kept, { at: clock.now(), because: error.message, progress });
      }
      throw error;
    }
    return { recoveryPoint: kept, shards: bringer.shards, folders: bringer.folders };
  } finally {
    stopSigns();
  }
}

/** Those who delete, of the stream and of the history, spare what is under way as long as signs of life are given. */
async function announce({ clock, id, repository, state }: BringRequest): Promise<() => void> {
  await signalSession(repository, state.id, clock.now());
  await signalSession(repository.history, id, clock.now());
  const ends = [
    keepSessionAlive(repository, state.id, () => clock.now()),
    keepSessionAlive(repository.history, id, () => clock.now()),
  ];
  return () => {
    for (const end of ends) end();
  };
}

async function inOrder<Item>(items: readonly Item[], act: (item: Item) => Promise<Item>): Promise<Item[]> {
  const done: Item[] = [];
  for (const item of items) done.push(await act(item));
  return done;
}

type StreamedIds = Readonly<Record<ContentKind, ReadonlySet<string>>>;

async function streamedIds(store: ObjectStoreReader): Promise<StreamedIds> {
  const idsOf = async (kind: ContentKind) => {
    const keys = await keysUnder(store, storeLayout.inStream(contentPrefix(kind)));
    return new Set(keys.flatMap((key) => parseContentKey(keyBelowStream(key) ?? key)?.id ?? []));
  };
  return { pack: await idsOf("pack"), tree: await idsOf("tree"), facts: await idsOf("facts") };
}

/** Brings what a state needs, part by part: packs before the trees that name them. */
class Bringer {
  readonly shards = new Map<string, ShardTree>();
  readonly folders = new Map<string, FolderTree>();
  readonly #request: BringRequest;
  readonly #streamed: StreamedIds;

  constructor(request: BringRequest, streamed: StreamedIds) {
    this.#request = request;
    this.#streamed = streamed;
  }

  async collection(collection: CapturedCollection): Promise<CapturedCollection> {
    const { before, repository } = this.#request;
    const earlier = before?.collections.find(({ key, name }) => name === collection.name && key === collection.key);
    if (earlier?.facts !== collection.facts) await this.#bringObject("facts", collection.facts);
    const shards = await inOrder(collection.shards, async (shard) => {
      const standing = earlier?.shards.find(({ id }) => id === shard.id)?.tree;
      if (standing?.id === shard.tree.id) return shard;
      const tree = await repository.readTree(shard.tree.id, shardTreeSchema);
      if (!isStreamedTree(tree.packs, this.#streamed.pack)) {
        await this.#bringObject("tree", shard.tree.id);
        this.shards.set(shard.tree.id, tree);
        return shard;
      }
      const then = standing && (await whenReadable(repository.history.readTree(standing.id, shardTreeSchema)));
      const { files, packs } = await this.#gather(collection.key, tree, then);
      const gathered: ShardTree = { ...tree, files: [...files], packs: [...packs] };
      const key = await repository.keys.key(collection.key);
      const made = await repository.history.createTree(key, shardTreeSchema, gathered);
      this.shards.set(made.id, gathered);
      return { ...shard, tree: made };
    });
    return { ...collection, shards };
  }

  async folder(folder: CapturedFolder): Promise<CapturedFolder> {
    const { before, repository } = this.#request;
    const isSame = (each: CapturedFolder) => each.kind === folder.kind && each.name === folder.name;
    const standing = before?.folders.find((each) => isSame(each) && each.key === folder.key)?.tree;
    if (standing?.id === folder.tree.id) return folder;
    const tree = await repository.readTree(folder.tree.id, folderTreeSchema);
    if (!isStreamedTree(tree.packs, this.#streamed.pack)) {
      await this.#bringObject("tree", folder.tree.id);
      this.folders.set(folder.tree.id, tree);
      return folder;
    }
    const then = standing && (await whenReadable(repository.history.readTree(standing.id, folderTreeSchema)));
    const contents = { files: filesOf(tree), packs: tree.packs };
    const { files, packs } = await this.#gather(
      folder.key,
      contents,
      then && { files: filesOf(then), packs: then.packs },
    );
    const placed = new Map(files.map((file) => [file.path, file]));
    const entries = tree.entries.map((entry) =>
      entry.type === "file" ? { ...entry, ...placed.get(entry.path) } : entry,
    );
    const gathered: FolderTree = { ...tree, entries, packs: [...packs] };
    const key = await repository.keys.key(folder.key);
    const made = await repository.history.createTree(key, folderTreeSchema, gathered);
    this.folders.set(made.id, gathered);
    return { ...folder, tree: made };
  }

  async #gather(keyId: string, tree: KnownFiles, before: KnownFiles | undefined) {
    const { repository } = this.#request;
    const key = await repository.keys.key(keyId);
    return gatherFiles({ repository, key, streamed: this.#streamed.pack, before }, tree);
  }

  /** Nothing that is created can be replaced: what comes is looked at first. */
  async #bringObject(kind: "tree" | "facts", id: string): Promise<void> {
    if (!this.#streamed[kind].has(id)) return;
    const { repository } = this.#request;
    const store = repository.history.stores.repository;
    const key = contentKey(kind, id);
    const bytes = await getWhole(store, storeLayout.inStream(key));
    await repository.checkSealed(key, bytes);
    await store.create(key, bytes);
  }
}
