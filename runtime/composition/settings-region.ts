/** Makes a region of a settings file and the secrets that it refers to. */
import { dirname } from "node:path";
import { identitiesIn } from "../domain/age-identity.ts";
import { headerKey } from "../domain/header-key.ts";
import type { Region } from "../domain/region.ts";
import { peerOfSettings, regionOfSettings } from "../domain/region-of-settings.ts";
import type { SecretReference } from "../domain/settings/secret-reference.ts";
import { breakGlassKey } from "../domain/trust/break-glass.ts";
import { signingKeyIn } from "../domain/trust/signing-key.ts";
import { DrError } from "../errors.ts";
import type { SettingsFile } from "../ports/settings-file.ts";

export interface GivenKeys {
  readonly identity?: string | undefined;
  readonly signingKey?: string | undefined;
}

/**
 * @param name of the region, or of its peer.
 * @param given are used instead of the file's own: then those may be lost.
 */
export async function readSettingsRegion(file: SettingsFile, name: string, given: GivenKeys = {}): Promise<Region> {
  const { settings } = file;
  const { peer } = settings;
  const secrets = async (prefix: string, part: typeof settings | NonNullable<typeof peer>) => ({
    ...(await readSecrets(file, prefix, part)),
    leaseCredentials: await readLeaseCredentials(file),
    identity: given.identity ?? (await readIdentity(file, settings.keys.identity)),
    signing:
      given.signingKey ??
      breakGlassKey(settings.trust, given.identity) ??
      (await readSigningKey(file, settings.keys.signing)),
  });
  if (peer?.region !== name) return regionOfSettings(settings, dirname(file.path), await secrets("", settings));
  const region = peerOfSettings(settings, dirname(file.path), await secrets("peer.", peer));
  if (region === undefined) throw new Error("a peer that has a name is described");
  return region;
}

type Described = Pick<NonNullable<SettingsFile["settings"]["peer"]>, "gate" | "qdrant" | "s3">;

async function readSecrets(file: SettingsFile, prefix: string, { gate, qdrant, s3 }: Described) {
  const key = async (reference: SecretReference, setting: string) =>
    headerKey(await file.secret(reference, prefix + setting), `${prefix}${setting} in ${file.path}`);
  const credentials = s3?.credentials && {
    accessKeyId: await key(s3.credentials.accessKeyId, "s3.credentials.accessKeyId"),
    secretAccessKey: await key(s3.credentials.secretAccessKey, "s3.credentials.secretAccessKey"),
  };
  return {
    apiKey: qdrant.apiKey && (await key(qdrant.apiKey, "qdrant.apiKey")),
    credentials,
    controlToken: gate && (await key(gate.controlToken, "gate.controlToken")),
  };
}

async function readSigningKey(file: SettingsFile, reference: SecretReference): Promise<string> {
  const key = signingKeyIn(await file.secret(reference, "keys.signing"));
  if (key !== undefined) return key;
  throw new DrError("SETTING_INVALID", `keys.signing in ${file.path} leads to no signing key, or to one that is cut`, {
    hint: "let it lead to the line that begins with QDRANT-DR-SIGNING-KEY-, as `init` or `qdrant-dr keys new` wrote it",
  });
}

async function readLeaseCredentials(file: SettingsFile) {
  const credentials = file.settings.gate?.lease?.s3?.credentials;
  const key = async (reference: SecretReference, name: string) =>
    headerKey(await file.secret(reference, name), `${name} in ${file.path}`);
  return (
    credentials && {
      accessKeyId: await key(credentials.accessKeyId, "gate.lease.s3.credentials.accessKeyId"),
      secretAccessKey: await key(credentials.secretAccessKey, "gate.lease.s3.credentials.secretAccessKey"),
    }
  );
}

async function readIdentity(file: SettingsFile, reference: SecretReference): Promise<string> {
  const identities = identitiesIn(await file.secret(reference, "keys.identity"));
  if (identities.length > 0) return identities.join("\n");
  throw new DrError("SETTING_INVALID", `keys.identity in ${file.path} leads to no age identity`, {
    hint: "let it lead to the line that begins with AGE-SECRET-KEY-; --identity-file opens with the offline one",
  });
}
