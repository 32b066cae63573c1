/** Makes a key for a person or a program to sign with, or tells the one that follows from the offline recovery identity. */
import { resolve } from "node:path";
import { identityIn } from "../../domain/age-identity.ts";
import { nameSchema } from "../../domain/settings/primitives.ts";
import { newSigningKey, publicKeyOf, signingKeyFrom, signingKeyIn } from "../../domain/trust/signing-key.ts";
import { DrError } from "../../errors.ts";
import type { PrivateFiles } from "../../ports/private-files.ts";

export interface OperatorKeyRequest {
  readonly files: PrivateFiles;
  readonly name: string;
  /** Where the key is written; `<name>.signing-key` when left out. */
  readonly file?: string | undefined;
  /** With the offline recovery identity: its own key is told, and nothing is written. */
  readonly identityFile?: string | undefined;
}

export interface OperatorKey {
  readonly name: string;
  readonly key: string;
  /** Absent: it follows from the identity, and is kept nowhere else. */
  readonly file?: string | undefined;
}

/** Run again, it tells the key that is there. */
export async function newOperatorKey(request: OperatorKeyRequest): Promise<OperatorKey> {
  const { files, identityFile, name } = request;
  if (!nameSchema.safeParse(name).success) {
    throw new DrError("USAGE", `${name} is no name of a key`, {
      hint: "give a lower-case name of letters, digits and hyphens",
    });
  }
  if (identityFile !== undefined)
    return { name, key: publicKeyOf(signingKeyFrom(await offlineIdentity(files, identityFile))) };
  const file = resolve(request.file ?? `${name}.signing-key`);
  const secret = newSigningKey();
  const lines = [`# qdrant-dr: signing key of ${name}; its public key is ${publicKeyOf(secret)}`, secret];
  if ((await files.create(file, `${lines.join("\n")}\n`)) === "created")
    return { name, key: publicKeyOf(secret), file };
  const kept = signingKeyIn((await files.read(file)) ?? "");
  if (kept !== undefined) return { name, key: publicKeyOf(kept), file };
  throw new DrError("SETTING_INVALID", `${file} is there already and holds no signing key`, {
    hint: "name another file with --file",
  });
}

async function offlineIdentity(files: PrivateFiles, file: string): Promise<string> {
  const identity = identityIn((await files.read(resolve(file))) ?? "");
  if (identity !== undefined) return identity;
  throw new DrError("SETTING_INVALID", `${file} holds no age identity`, {
    hint: "give a file with the line that begins with AGE-SECRET-KEY-",
  });
}
