/**
 * A folder as captured: what stands in it, and where the content of its files is. Trees are named by their content, so
 * a folder that did not change costs a recovery point nothing but its name.
 */
import { z } from "zod";
import { folderNameSchema } from "./folder-name.ts";
import { innerPathSchema, rootPath } from "./inner-path.ts";
import { packSchema, storedContentSchema } from "./stored-content.ts";

const count = z.number().int().nonnegative();

/** Years before 0 and after 9999 have six digits and a sign. */
const time = z.union([
  z.iso.datetime(),
  z
    .string()
    .regex(/^[+-]\d{6}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    .refine((text) => !Number.isNaN(Date.parse(text)), "a time that there is"),
]);

/** The earliest and the latest time that a tree can tell, in milliseconds from 1970. */
const farthestMs = 8.64e15;

/** The time, or the nearest one that a tree can tell. */
export function tellableTime(ms: number): Date {
  return new Date(Math.min(farthestMs, Math.max(-farthestMs, ms)));
}

/** Whether it may stand for one that lies farther. */
export function isFarthestTime(time: Date): boolean {
  return Math.abs(time.getTime()) === farthestMs;
}

const attributes = {
  /** `.` is the folder itself. */
  path: z.union([z.literal(rootPath), innerPathSchema]),
  /** Permission bits. */
  mode: count.max(0o7777),
  uid: count,
  gid: count,
  modifiedAt: time,
};

const directorySchema = z.object({ ...attributes, type: z.literal("directory") });

/** As the link says; it is never followed. */
const symlinkSchema = z.object({ ...attributes, type: z.literal("symlink"), target: z.string().min(1) });

const fileSchema = storedContentSchema.extend({
  ...attributes,
  type: z.literal("file"),
  /** It changed each time it was read. */
  isConsistent: z.literal(false).optional(),
  /** What tells on the machine of the capture that it is unchanged: a hint, which a full capture does not use. */
  seen: z.string().optional(),
  changedAt: time.optional(),
});
export type FolderFile = z.infer<typeof fileSchema>;

const entrySchema = z.discriminatedUnion("type", [directorySchema, symlinkSchema, fileSchema]);
export type FolderEntry = z.infer<typeof entrySchema>;

export const folderTreeSchema = z.object({
  format: z.literal(1),
  kind: z.enum(["config", "user-data", "infrastructure"]),
  name: folderNameSchema,
  /** Where the folder was, if it was one. */
  path: z.string().optional(),
  /** A directory stands before what it holds. */
  entries: z.array(entrySchema).refine(isPlain, "paths of which each is there once, below directories only"),
  /** Every pack that any chunk or chunk list of this tree is in. */
  packs: z.array(packSchema),
});
export type FolderTree = z.infer<typeof folderTreeSchema>;

export function filesOf({ entries }: Pick<FolderTree, "entries">): FolderFile[] {
  return entries.filter((entry) => entry.type === "file");
}

/** Those of the entries that a tree can hold, and the paths of the others. */
export function holdable(entries: readonly FolderEntry[]): {
  readonly held: FolderEntry[];
  readonly left: readonly string[];
} {
  const types = new Map<string, FolderEntry["type"]>();
  /** Those of which something below is held. */
  const directories = new Set([rootPath]);
  const held: FolderEntry[] = [];
  const left: string[] = [];
  const isDirectory = (path: string) => (types.get(path) ?? "directory") === "directory";
  for (const entry of entries) {
    const { path, type } = entry;
    const isAllowed = type === "directory" || !directories.has(path);
    const hasPlace = !types.has(path) && isAllowed && above(path).every(isDirectory);
    if (!hasPlace || !entrySchema.safeParse(entry).success) {
      left.push(path);
      continue;
    }
    for (const directory of above(path)) directories.add(directory);
    types.set(path, type);
    held.push(entry);
  }
  return { held, left };
}

/** No path twice, and none below a file or a link: what is written to a path of such a tree stays in its folder. */
function isPlain(entries: readonly FolderEntry[]): boolean {
  const types = new Map(entries.map(({ path, type }) => [path, type]));
  const isDirectory = (path: string) => (types.get(path) ?? "directory") === "directory";
  return (
    types.size === entries.length &&
    isDirectory(rootPath) &&
    entries.every(({ path }) => above(path).every(isDirectory))
  );
}

/** The directories that a path is in, outermost first, without the folder itself. */
function above(path: string): string[] {
  const names = path.split("/");
  return names.slice(1).map((_, index) => names.slice(0, index + 1).join("/"));
}
