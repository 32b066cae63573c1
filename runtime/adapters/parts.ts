/** Makes programs ready that the runtime starts, and puts them first on PATH; what is ready already costs a look. */
import { existsSync } from "node:fs";
import { delimiter, dirname } from "node:path";
import { makeReady } from "../../setup/make-ready.mjs";
import { SetupError } from "../../setup/setup-error.mjs";
import { DrError } from "../errors.ts";

/** The source of all this, with the Pulumi project in it; an image has the bundled programs only. */
const project = new URL("../../Pulumi.yaml", import.meta.url);

export type Part = "pulumi" | "qdrant" | "seaweedfs";

/** @returns their versions. Throws PART_MISSING or DISK_FULL, naming every source that was tried. */
export async function readyParts(wanted: readonly Part[]): Promise<Record<string, string>> {
  if (!existsSync(project)) {
    throw new DrError(
      "PART_MISSING",
      `${wanted.join(", ")}: this image runs jobs, and has neither these nor a project`,
      {
        hint: "give the region's outputs with --outputs, or run it from a checkout",
      },
    );
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
