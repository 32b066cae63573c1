/** Keeps evidence as a page and as JSON beside it. */
import { mkdir, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { Deps } from "../../composition/deps.ts";
import { toDrError } from "../../errors.ts";

export interface Report {
  /** Of the page; undefined: one in the folder of reports. */
  readonly file: string | undefined;
  /** What the page is about, for its name there. */
  readonly about: string;
  readonly startedAt: string;
  readonly page: string;
  readonly evidence: object;
}

/** Answers where the page is. One that cannot be written fails nothing: undefined. */
export async function keepReport(
  deps: Deps,
  { about, evidence, file, page, startedAt }: Report,
): Promise<string | undefined> {
  const path = resolve(file ?? join(deps.reportsFolder, `${about}-${startedAt.replaceAll(/[:.]/g, "-")}.html`));
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, page);
    await writeFile(`${withoutEnding(path)}.json`, `${JSON.stringify(evidence, undefined, 2)}\n`);
    return path;
  } catch (error) {
    deps.progress({ step: "report", detail: `not written: ${toDrError(error).message}` });
    return undefined;
  }
}

function withoutEnding(file: string): string {
  return join(dirname(file), basename(file).replace(/\.html?$/i, ""));
}
