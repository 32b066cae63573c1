import type { Deps } from "../../composition/deps.ts";
import { DrError } from "../../errors.ts";
import type { SettingsFile } from "../../ports/settings-file.ts";

/** The settings file, of a command that works with nothing else. Throws USAGE when there is none. */
export async function namedSettings(
  deps: Pick<Deps, "settings">,
  options: { readonly settings?: string },
): Promise<SettingsFile> {
  const file = await deps.settings(options);
  if (file !== undefined) return file;
  throw new DrError("USAGE", "there is no settings file: no qdrant-dr.yaml here, and none is named", {
    hint: "make one with `qdrant-dr init`, or name it with --settings or QDRANT_DR_SETTINGS",
  });
}
