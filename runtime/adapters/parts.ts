/** Makes programs ready that the runtime starts, and puts them first on PATH; what is ready already costs a look. */
import { delimiter, dirname } from "node:path";
import { makeReady } from "../../setup/make-ready.mjs";
import { SetupError } from "../../setup/setup-error.mjs";
import { DrError } from "../errors.ts";

/** Source, with the Pulumi project beside it, is in a checkout only: package and image hold the bundled programs. */
export const isCheckout = import.meta.url.endsWith(".ts");

export type Part = "pulumi" | "qdrant" | "seaweedfs";

/** @returns their versions. Throws PART_MISSING or DISK_FULL, naming every source that was tried; NOT_SUPPORTED outside of a checkout. */
export async function readyParts(wanted: readonly Part[]): Promise<Record<string, string>> {
  if (!isCheckout) {
    throw new DrError("NOT_SUPPORTED", `this needs ${wanted.join(", ")}, which package and image come without`, {
      hint: "name the region by its settings file (--settings), or by its stack's outputs (--outputs); stacks and the practice need a checkout",
    });
  }
  const { bins, parts } = await makeReady([...wanted]).catch((error: unknown) => {
    throw translate(error);
  });
  // Node too: Pulumi starts the program and our provider by that name.
  const folders = [...bins, dirname(process.execPath)];
  const path = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => !folders.includes(folder));
  process.env["PATH"] = [...folders, ...path].join(delimiter);
  return Object.fromEntries(parts.map(({ id, version }) => [id, version ?? "unknown"]));
}

function translate(error: unknown): unknown {
  if (!(error instanceof SetupError)) return error;
  const code = error.code === "DISK_FULL" ? "DISK_FULL" : "PART_MISSING";
  return new DrError(code, error.message, { hint: error.hint, cause: error });
}
