/** Makes a region of a settings file and the secrets that it refers to. */
import { dirname } from "node:path";
import { identityIn } from "../domain/age-identity.ts";
import { headerKey } from "../domain/header-key.ts";
import type { Region } from "../domain/region.ts";
import { regionOfSettings } from "../domain/region-of-settings.ts";
import type { SecretReference } from "../domain/settings/secret-reference.ts";
import { DrError } from "../errors.ts";
import type { SettingsFile } from "../ports/settings-file.ts";

/** @param givenIdentity opens the keys instead of the file's: then that may be lost. */
export async function readSettingsRegion(file: SettingsFile, givenIdentity: string | undefined): Promise<Region> {
  const { keys, qdrant, s3 } = file.settings;
  const key = async (reference: SecretReference, setting: string) =>
    headerKey(await file.secret(reference, setting), `${setting} in ${file.path}`);
  const credentials = s3?.credentials && {
    accessKeyId: await key(s3.credentials.accessKeyId, "s3.credentials.accessKeyId"),
    secretAccessKey: await key(s3.credentials.secretAccessKey, "s3.credentials.secretAccessKey"),
  };
  return regionOfSettings(file.settings, dirname(file.path), {
    apiKey: qdrant.apiKey && (await key(qdrant.apiKey, "qdrant.apiKey")),
    credentials,
    identity: givenIdentity ?? (await readIdentity(file, keys.identity)),
  });
}

async function readIdentity(file: SettingsFile, reference: SecretReference): Promise<string> {
  const identity = identityIn(await file.secret(reference, "keys.identity"));
  if (identity !== undefined) return identity;
  throw new DrError("SETTING_INVALID", `keys.identity in ${file.path} leads to no age identity`, {
    hint: "let it lead to the line that begins with AGE-SECRET-KEY-; --identity-file opens with the offline one",
  });
}
