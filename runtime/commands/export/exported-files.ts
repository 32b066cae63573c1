/** What an export says of the files that it wrote. */
import { z } from "zod";
import { listOf } from "../shared/fields.ts";

const path = z.string();

export const exportedFiles = z.strictObject({
  folder: z.string().describe("the folder that was named"),
  written: listOf(path).describe("files that are new, or were brought up to date"),
  unchanged: listOf(path).describe("files that were as they should be"),
  kept: listOf(
    z.strictObject({
      file: path.describe("a file that somebody changed since it was written: it stays as it is"),
      newer: path.describe("the text of now, beside it"),
    }),
  ).describe("files that were not touched"),
});
export type ExportedFilesAnswer = z.infer<typeof exportedFiles>;

export function textOfFiles({ folder, kept, unchanged, written }: ExportedFilesAnswer): string {
  return [
    `${folder}: ${written.length} files written, ${unchanged.length} as they were`,
    ...written.map((file) => `  ${file}`),
    ...kept.map(({ file, newer }) => `  ${file} was changed by somebody, and stays: see ${newer}`),
  ].join("\n");
}
