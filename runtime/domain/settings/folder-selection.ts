/** The part of a folder that belongs to recovery points: everything below its path, or what globs name. */
import { Minimatch } from "minimatch";
import { z } from "zod";
import { folderNameSchema } from "../recovery-points/folder-name.ts";
import { absolutePathSchema } from "./primitives.ts";

const glob = z
  .string()
  .min(1)
  .max(1000)
  .refine(
    (pattern) => !pattern.startsWith("/") && !pattern.split("/").includes(".."),
    "a pattern of paths below the folder, such as conf/*.yaml or **/*.log",
  );

export const folderSelectionSchema = z.strictObject({
  name: folderNameSchema.describe(
    "name of the folder in recovery points, wherever it is; no two folders have the same one",
  ),
  path: absolutePathSchema.describe("absolute path, as the capture sees it"),
  include: z.array(glob).min(1).optional().describe("globs: only what matches one; everything when left out"),
  exclude: z.array(glob).min(1).optional().describe("globs: left out, also when `include` names it"),
});
export type FolderSelection = z.infer<typeof folderSelectionSchema>;

export type FolderKind = "config" | "user-data";

/** A region's folders, each with the kind of data that it is. */
export function foldersByKind({
  configuration,
  userData,
}: Readonly<Record<"configuration" | "userData", readonly FolderSelection[]>>): {
  readonly kind: FolderKind;
  readonly selection: FolderSelection;
}[] {
  return [
    ...configuration.map((selection) => ({ kind: "config" as const, selection })),
    ...userData.map((selection) => ({ kind: "user-data" as const, selection })),
  ];
}

export interface Selector {
  /** Nothing at or below this path is wanted. */
  isExcluded(path: string): boolean;
  isIncluded(path: string): boolean;
}

/** A pattern that matches a directory stands for everything below it. `*` and `**` match names that begin with a dot. */
export function selectorOf({ exclude, include }: Pick<FolderSelection, "exclude" | "include">): Selector {
  const excluded = anyOf(exclude ?? []);
  const included = include === undefined ? () => true : anyOf(include);
  return { isExcluded: excluded, isIncluded: included };
}

function anyOf(patterns: readonly string[]): (path: string) => boolean {
  const matchers = patterns.map((pattern) => new Minimatch(pattern, { dot: true, nocomment: true, nonegate: true }));
  return (path) => withAncestors(path).some((candidate) => matchers.some((matcher) => matcher.match(candidate)));
}

function withAncestors(path: string): string[] {
  const parts = path.split("/");
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}
