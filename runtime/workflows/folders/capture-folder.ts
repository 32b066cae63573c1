/**
 * Captures a folder of configuration or user data: reads what changed since its last capture, stores what is not stored
 * yet, and names a tree from which the whole folder can be made again.
 */
import {
  type FolderEntry,
  type FolderFile,
  type FolderTree,
  filesOf,
  folderTreeSchema,
  holdable,
  isFarthestTime,
} from "../../domain/recovery-points/folder-tree.ts";
import { missingBecause } from "../../domain/recovery-points/missing.ts";
import type { CapturedFolder, Missing } from "../../domain/recovery-points/recovery-point.ts";
import type { TreeFile } from "../../domain/recovery-points/shard-tree.ts";
import { DrError, hasCode } from "../../errors.ts";
import type { FolderSource, FoundEntry, OpenFile, SkippedEntry } from "../../ports/folders.ts";
import type { Progress } from "../../ports/progress.ts";
import { ContentWriter } from "../../repository/content/content-writer.ts";
import { readWholeTree } from "../../repository/content/read-whole-tree.ts";
import { obtainDataKey } from "../capture/data-key.ts";
import type { FolderCapture, FolderContext } from "../capture/folder-capture.ts";

/** How often a file that changes while it is read is read, before it is kept as it came. */
const attempts = 4;

/**
 * What changed so shortly before it was read that the clock of the file system may not tell a later change from it is
 * read again. Some file systems count in steps of two seconds.
 */
const coarsestTickMs = 2_500;

/** Entries of one folder that are named because they cannot be read. */
const mostNamed = 100;

export interface FolderToCapture {
  readonly kind: CapturedFolder["kind"];
  readonly name: string;
  readonly source: FolderSource;
}

export function folderCapture(folder: FolderToCapture, progress: Progress): FolderCapture {
  const { kind, name } = folder;
  return { kind, name, capture: (context) => captureFolder(folder, context, progress) };
}

/** @throws LINEAGE_BROKEN when the folder is gone or empty and was not before, unless that is said to be meant. */
export async function captureFolder(
  { kind, name, source }: FolderToCapture,
  context: FolderContext,
  progress: Progress,
): ReturnType<FolderCapture["capture"]> {
  const { before, clock, repository } = context;
  const startedAt = clock.now();
  const what = `${kind} ${name}`;
  const place = source.path ?? "it";
  const key = await obtainDataKey(repository, context.epoch, { folder: `${kind}/${name}` }, before);
  const base = before === undefined ? undefined : await readBase(context, before);
  // What another key sealed is not built on: the new one takes over whole.
  const sealedAlike = before?.key === key.id ? base : undefined;
  const content = new ContentWriter(repository, key, sealedAlike, await context.storing.orphanedPieces());
  const recording = new FolderRecorder(context, content, sealedAlike, (detail) =>
    progress({ step: "capture", detail: `${what}: ${detail}` }),
  );
  try {
    if (await source.exists()) await recording.take(source);
    else refuseMissing(what, place, context);
    refuseEmptied(what, place, recording.count, base, context);
    const { packs, readBytes, storedBytes, ...found } = await recording.finish();
    const missing = recording.unreadable.map(({ error, path }) => missingBecause({ kind, name, path }, error));
    const { held: entries, left } = holdable(found.entries);
    for (const path of left) {
      progress({ step: "capture", detail: `${what}: ${JSON.stringify(path)} is left out: it cannot be described` });
    }
    const tree: FolderTree = {
      format: 1,
      kind,
      name,
      path: source.path,
      entries,
      packs,
    };
    const stored = await repository.createTree(key, folderTreeSchema, tree, before?.tree);
    context.memory?.folders.set(stored.id, { tree, at: startedAt });
    return {
      folder: {
        kind,
        name,
        key: key.id,
        tree: stored,
        startedAt: startedAt.toISOString(),
        finishedAt: clock.now().toISOString(),
        isExact:
          left.length === 0 &&
          missing.length === 0 &&
          entries.every((entry) => entry.type !== "file" || entry.isConsistent === undefined),
      },
      missing: fewOf(missing, { kind, name }),
      readBytes,
      storedBytes: storedBytes + (stored.id === before?.tree.id ? 0 : stored.size),
    };
  } finally {
    recording.close();
  }
}

/** Each has its line in every recovery point: of very many, the first ones and their number do. */
function fewOf(missing: readonly Missing[], folder: Pick<Missing, "kind" | "name">): readonly Missing[] {
  if (missing.length <= mostNamed) return missing;
  const others = new DrError("CAPTURE_INCOMPLETE", `${missing.length - mostNamed} more cannot be read`);
  return [...missing.slice(0, mostNamed), missingBecause({ ...folder, path: "…" }, others)];
}

interface Base {
  readonly files: readonly FolderFile[];
  readonly packs: FolderTree["packs"];
  /** When its capture began. */
  readonly at: Date;
}

async function readBase(context: FolderContext, before: CapturedFolder): Promise<Base | undefined> {
  const { memory, presence, repository } = context;
  const { id } = before.tree;
  const known = memory?.folders.get(id);
  const tree = known?.tree ?? (await readWholeTree(repository, id, folderTreeSchema, presence));
  return tree && { files: filesOf(tree), packs: tree.packs, at: known?.at ?? new Date(before.startedAt) };
}

/** What can be read of a file. What is written of one that breaks off belongs to no entry. */
class EndingContent {
  readonly #content: OpenFile["content"];
  #error: DrError | undefined;

  constructor(content: OpenFile["content"]) {
    this.#content = content;
  }

  get error(): DrError | undefined {
    return this.#error;
  }

  async *content(): OpenFile["content"] {
    try {
      yield* this.#content;
    } catch (error) {
      if (!hasCode(error, "CAPTURE_INCOMPLETE")) throw error;
      this.#error = error;
    }
  }
}

/** One walk over a folder, entry by entry into the repository. */
class FolderRecorder {
  readonly #context: FolderContext;
  readonly #content: ContentWriter;
  readonly #base: ReadonlyMap<string, FolderFile>;
  readonly #baseAt: Date;
  readonly #tell: (detail: string) => void;
  readonly #entries: FoundEntry[] = [];
  readonly #inconsistent = new Set<string>();
  readonly #unreadable: { readonly path: string; readonly error: DrError }[] = [];

  constructor(context: FolderContext, content: ContentWriter, base: Base | undefined, tell: (detail: string) => void) {
    this.#context = context;
    this.#content = content;
    this.#base = new Map(base?.files.map((file) => [file.path, file]));
    this.#baseAt = base?.at ?? new Date(0);
    this.#tell = tell;
  }

  /** Entries that are not directories, those that cannot be read among them: they are there. */
  get count(): number {
    return this.#entries.filter(({ type }) => type !== "directory").length + this.#unreadable.length;
  }

  get unreadable(): readonly { readonly path: string; readonly error: DrError }[] {
    return this.#unreadable;
  }

  async take(source: FolderSource): Promise<void> {
    for await (const entry of source.entries((skipped) => this.#skip(skipped))) {
      if (entry.type !== "file") this.#entries.push(entry);
      else if (this.#isUnchanged(entry) && this.#content.carry(entry.path)) this.#entries.push(entry);
      else await this.#takeFile(source, entry);
    }
  }

  #skip(skipped: SkippedEntry): void {
    const { path } = skipped;
    if ("type" in skipped) {
      this.#tell(`${path} is a ${skipped.type}: left out`);
      return;
    }
    if (this.#context.mustBeWhole) throw skipped.error;
    this.#unreadable.push({ path, error: skipped.error });
  }

  /** Undefined when it is gone, or cannot be read. */
  async #open(source: FolderSource, path: string): Promise<OpenFile | undefined> {
    try {
      return await source.open(path);
    } catch (error) {
      if (!hasCode(error, "CAPTURE_INCOMPLETE")) throw error;
      this.#skip({ path, error });
      return undefined;
    }
  }

  #isUnchanged({ path, seen }: FoundEntry): boolean {
    const known = this.#base.get(path);
    if (this.#context.isFull || known?.seen === undefined || known.changedAt === undefined) return false;
    const hadSettled = Date.parse(known.changedAt) + coarsestTickMs < this.#baseAt.getTime();
    return hadSettled && known.seen === seen && known.isConsistent === undefined;
  }

  async #takeFile(source: FolderSource, found: FoundEntry): Promise<void> {
    await this.#context.storing.begin();
    for (let attempt = 1; ; attempt += 1) {
      const file = await this.#open(source, found.path);
      if (file === undefined) return;
      let isConsistent = false;
      const reading = new EndingContent(file.content);
      try {
        await this.#content.addFile(found.path, file.entry.size, reading.content());
      } finally {
        ({ isConsistent } = await file.close());
      }
      if (reading.error !== undefined) return this.#skip({ path: found.path, error: reading.error });
      if (!isConsistent && attempt < attempts) continue;
      if (!isConsistent) {
        this.#inconsistent.add(found.path);
        this.#tell(`${found.path} changed each time it was read`);
      }
      this.#entries.push(file.entry);
      return;
    }
  }

  async finish() {
    const { changed, files, packs, readBytes, storedBytes } = await this.#content.finish();
    for (const { path, seen } of this.#entries) {
      const known = this.#base.get(path);
      if (!changed.has(path) || this.#inconsistent.has(path) || known?.seen === undefined || known.seen !== seen)
        continue;
      this.#tell(`${path} has other content than before and the same times: look whether its disk is sound`);
    }
    const contents = new Map(files.map((file) => [file.path, file]));
    const entries = this.#entries.map((entry) => this.#entryOf(entry, contents));
    return { entries, packs: [...packs], readBytes, storedBytes };
  }

  close(): void {
    this.#content.close();
  }

  #entryOf(found: FoundEntry, contents: ReadonlyMap<string, TreeFile>): FolderEntry {
    const { changedAt, gid, mode, modifiedAt, path, seen, target, type, uid } = found;
    if (isFarthestTime(modifiedAt))
      this.#tell(`${path} has a time beyond all that can be kept: ${modifiedAt.toISOString()} is`);
    const attributes = { path, mode, uid, gid, modifiedAt: modifiedAt.toISOString() };
    if (type === "directory") return { ...attributes, type };
    if (type === "symlink") return { ...attributes, type, target: target ?? "" };
    const content = contents.get(path);
    if (content === undefined) throw new Error(`${path} was not stored`);
    const { lists, packs, size } = content;
    return {
      ...attributes,
      type,
      size,
      lists,
      packs,
      ...(this.#inconsistent.has(path) ? { isConsistent: false as const } : {}),
      ...(seen === undefined || changedAt === undefined ? {} : { seen, changedAt: changedAt.toISOString() }),
    };
  }
}

function refuseMissing(what: string, path: string, { allowEmpty, before }: FolderContext): void {
  if (allowEmpty) return;
  if (before === undefined) {
    throw new DrError("SETTING_INVALID", `${what}: there is no folder ${path}`, {
      hint: "correct its path in the stack's settings, or make the folder",
    });
  }
  throw new DrError("LINEAGE_BROKEN", `${what}: the folder ${path} is gone`, {
    hint: "see whether its disk is mounted; if it was removed on purpose, repeat with --allow-empty",
  });
}

/** A disk that is not mounted looks like an empty folder. */
function refuseEmptied(
  what: string,
  path: string,
  count: number,
  base: Base | undefined,
  context: FolderContext,
): void {
  if (context.allowEmpty || count > 0 || base === undefined || base.files.length === 0) return;
  throw new DrError(
    "LINEAGE_BROKEN",
    `${what}: ${path} holds no files, and the last recovery point holds ${base.files.length}`,
    { hint: "see whether its disk is mounted; if it was emptied on purpose, repeat with --allow-empty" },
  );
}
