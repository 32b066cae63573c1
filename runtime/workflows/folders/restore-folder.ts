/**
 * Restores folders of configuration and user data: each is made beside its place, read back and compared, and then moved
 * there. What stood there before is kept under another name, and never without being told to.
 */
import { createHash } from "node:crypto";
import type { Extent } from "../../domain/qdrant/sparse-tar.ts";
import { type FolderTree, filesOf, folderTreeSchema } from "../../domain/recovery-points/folder-tree.ts";
import type { CapturedFolder, RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { DrError } from "../../errors.ts";
import type { FolderDraft, FolderTarget, PlacedFolder } from "../../ports/folders.ts";
import type { Progress } from "../../ports/progress.ts";
import { readFiles } from "../../repository/content/file-reader.ts";
import type { OpenRepository } from "../../repository/repository.ts";

export interface FolderRestoreRequest {
  readonly repository: OpenRepository;
  readonly recoveryPoint: RecoveryPoint;
  readonly target: FolderTarget;
  readonly kinds: readonly CapturedFolder["kind"][];
  /** Paths of some folders by name; only these are restored then. */
  readonly places?: ReadonlyMap<string, string>;
  /** Only these are restored. */
  readonly names?: ReadonlySet<string>;
  /** A folder below which each folder gets one of its name. */
  readonly into?: string;
  /** Paths that the region's settings say, by name. What was captured does not decide where it goes. */
  readonly homes: ReadonlyMap<string, string>;
  /** Move away what stands at a folder's home. */
  readonly inPlace?: boolean;
  /** Give files their set-user-id, set-group-id and sticky bits again; they come without them otherwise. */
  readonly keepSpecialModes?: boolean;
  readonly progress: Progress;
  /** Has a draft removed when the run is interrupted; the answer takes it back. */
  onInterrupt?(clean: () => Promise<void>): () => void;
}

export interface PlannedFolder {
  readonly folder: CapturedFolder;
  readonly tree: FolderTree;
  readonly path: string;
  readonly files: number;
  readonly bytes: number;
  /** The path under which the present content will be kept. */
  readonly keepAs?: string;
}

export interface RestoredFolder extends PlacedFolder {
  readonly kind: CapturedFolder["kind"];
  readonly name: string;
  readonly path: string;
  readonly files: number;
  readonly bytes: number;
  /** Files that changed while they were captured. */
  readonly inconsistent: readonly string[];
  /** Entries that came without their special modes. */
  readonly plainModes: readonly string[];
}

/** Plans the restore of folders. Throws when the restore must not be done; nothing has been touched then. */
export async function planFolderRestore(request: FolderRestoreRequest): Promise<PlannedFolder[]> {
  const { recoveryPoint, places, repository } = request;
  const known = recoveryPoint.folders.filter(({ kind }) => request.kinds.includes(kind));
  const unknown = [...(places?.keys() ?? [])].filter((name) => !known.some((folder) => folder.name === name));
  if (unknown.length > 0) {
    throw new DrError("USAGE", `there is no folder ${unknown.join(", ")} in ${recoveryPoint.id}`, {
      hint: `it holds ${known.map(({ name }) => name).join(", ") || "none of these kinds"}`,
    });
  }
  const plans: PlannedFolder[] = [];
  for (const folder of known) {
    if (places !== undefined && request.into === undefined && !places.has(folder.name)) continue;
    if (request.names?.has(folder.name) === false) continue;
    const tree = await readTreeOf(repository, folder);
    const files = filesOf(tree);
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    plans.push({ folder, tree, files: files.length, bytes, ...(await planPlace(request, folder)) });
  }
  refuseNested(plans);
  return plans;
}

/** Each folder that has been moved to its place stays there when a later one fails. */
export async function restoreFolders(
  request: FolderRestoreRequest,
  plans: readonly PlannedFolder[],
): Promise<RestoredFolder[]> {
  const restored: RestoredFolder[] = [];
  for (const plan of plans) {
    const { folder, path, tree } = plan;
    request.progress({ step: "restore", detail: `${folder.kind} ${folder.name} to ${path}` });
    const placed = await restoreFolder(request, plan);
    const inconsistent = filesOf(tree).flatMap((file) => (file.isConsistent === false ? [file.path] : []));
    const plainModes = request.keepSpecialModes === true ? [] : withSpecialModes(tree);
    const { bytes, files } = plan;
    restored.push({ kind: folder.kind, name: folder.name, path, files, bytes, inconsistent, plainModes, ...placed });
  }
  return restored;
}

async function restoreFolder(
  { into, keepSpecialModes, onInterrupt, places, repository, target }: FolderRestoreRequest,
  { folder, keepAs, path, tree }: PlannedFolder,
): Promise<PlacedFolder> {
  const draft = await target.draft(path, places?.has(folder.name) ? undefined : into);
  const release = onInterrupt?.(() => draft.discard());
  try {
    for (const entry of tree.entries) {
      if (entry.type === "directory") await draft.directory(entry.path);
      if (entry.type === "symlink") await draft.symlink(entry.path, entry.target);
    }
    for await (const { content, file, regions } of readFiles(repository, filesOf(tree))) {
      const came = new ContentHash();
      await draft.file(file.path, file.size, told(placed(regions, content), came));
      await compare(draft, file, came);
    }
    const entries = tree.entries.map(({ gid, mode, modifiedAt, path, type, uid }) => {
      const given = keepSpecialModes === true ? mode : mode & plainMode;
      return { path, type, mode: given, uid, gid, modifiedAt: new Date(modifiedAt) };
    });
    return await draft.place(entries, keepAs);
  } catch (error) {
    await draft.discard();
    throw error;
  } finally {
    release?.();
  }
}

/** Permissions of owner, group and others. */
const plainMode = 0o777;

function withSpecialModes({ entries }: FolderTree): string[] {
  return entries.flatMap(({ mode, path, type }) => (type !== "symlink" && mode !== (mode & plainMode) ? [path] : []));
}

/** Throws OBJECT_CORRUPT when the tree is that of another folder. */
async function readTreeOf(
  repository: OpenRepository,
  { kind, name, tree: { id } }: CapturedFolder,
): Promise<FolderTree> {
  const tree = await repository.readTree(id, folderTreeSchema);
  if (tree.kind === kind && tree.name === name) return tree;
  throw new DrError("OBJECT_CORRUPT", `the tree of ${kind} ${name} is that of ${tree.kind} ${tree.name}`, {
    hint: "verify the recovery point; restore another one",
  });
}

async function planPlace(
  { homes, inPlace, into, places, recoveryPoint, target }: FolderRestoreRequest,
  { kind, name }: CapturedFolder,
): Promise<{ readonly path: string; readonly keepAs?: string }> {
  const elsewhere = places?.get(name) ?? (into === undefined ? undefined : `${into}/${name}`);
  const path = elsewhere ?? homes.get(name);
  if (path === undefined) {
    throw new DrError("USAGE", `the settings of this region do not say where ${kind} ${name} belongs`, {
      hint: `give a place with --folder ${name}=<path>, or --into <path>; or name the folder in the settings`,
    });
  }
  const { isVolume, state } = await target.look(path, places?.has(name) ? undefined : into);
  if (state !== "occupied") return { path };
  const mayMove = elsewhere === undefined && inPlace === true && !isVolume;
  if (mayMove) return { path, keepAs: `${path}.before-${recoveryPoint.id}` };
  throw new DrError("TARGET_NOT_EMPTY", `${path} holds something already; nothing was changed`, {
    hint: isVolume
      ? `it is a volume of its own, which cannot be moved away: empty it, or restore beside with --folder ${name}=<path>`
      : `restore beside with --folder ${name}=<path>, or with --in-place, which keeps what is there under another name`,
  });
}

/** One folder's place in another's would be moved away with it. */
function refuseNested(plans: readonly PlannedFolder[]): void {
  for (const { folder, path } of plans) {
    const other = plans.find((plan) => plan.folder !== folder && `${path}/`.startsWith(`${plan.path}/`));
    if (other === undefined) continue;
    throw new DrError("USAGE", `${folder.name} would be restored into ${other.folder.name}, at ${path}`, {
      hint: `give it a path of its own with --folder ${folder.name}=<path>`,
    });
  }
}

type Stretches = AsyncIterable<{ readonly offset: number; readonly bytes: Uint8Array }>;

/** Gives the chunks of regions, which come one after another, their places in the file. */
async function* placed(
  regions: readonly Extent[],
  content: AsyncIterable<Buffer>,
): AsyncGenerator<{ offset: number; bytes: Buffer }> {
  const rest = regions.values();
  let region = rest.next().value;
  let done = 0;
  for await (const bytes of content) {
    if (region === undefined) throw new Error("more came than the regions hold");
    yield { offset: region.offset + done, bytes };
    done += bytes.length;
    if (done < region.length) continue;
    region = rest.next().value;
    done = 0;
  }
}

async function* told(stretches: Stretches, hash: ContentHash): AsyncGenerator<{ offset: number; bytes: Uint8Array }> {
  for await (const stretch of stretches) {
    hash.add(stretch.offset, stretch.bytes);
    yield stretch;
  }
}

async function compare(draft: FolderDraft, file: { readonly path: string; readonly size: number }, came: ContentHash) {
  const stands = new ContentHash();
  let size = 0;
  for await (const bytes of draft.read(file.path)) {
    stands.add(size, bytes);
    size += bytes.length;
  }
  if (size === file.size && stands.digest(size) === came.digest(size)) return;
  throw new DrError("VERIFICATION_FAILED", `${file.path} does not read back from the disk as it was written`, {
    hint: "look whether the disk is sound; nothing was moved to its place",
  });
}

/** SHA-256 of a file's content, zeros between the stretches included. */
class ContentHash {
  readonly #hash = createHash("sha256");
  #end = 0;

  add(offset: number, bytes: Uint8Array): void {
    this.#zerosUpTo(offset);
    this.#hash.update(bytes);
    this.#end += bytes.length;
  }

  digest(size: number): string {
    this.#zerosUpTo(size);
    return this.#hash.digest("hex");
  }

  #zerosUpTo(offset: number): void {
    while (this.#end < offset) {
      const length = Math.min(zeros.length, offset - this.#end);
      this.#hash.update(zeros.subarray(0, length));
      this.#end += length;
    }
  }
}

const zeros = Buffer.alloc(1024 * 1024);
