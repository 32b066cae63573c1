/** Makes an age identity into a file of its own. */
import { resolve } from "node:path";
import { identityIn } from "../../domain/age-identity.ts";
import { DrError } from "../../errors.ts";
import type { Identities } from "../../ports/identities.ts";
import type { PrivateFiles } from "../../ports/private-files.ts";

export interface NewIdentity {
  readonly file: string;
  readonly recipient: string;
}

/** Run again, it tells the recipient of the identity that is there. */
export async function newIdentity(
  path: string,
  { files, identities }: { readonly files: PrivateFiles; readonly identities: Identities },
): Promise<NewIdentity> {
  const file = resolve(path);
  const secret = await identities.make();
  const recipient = await identities.recipientOf(secret);
  const text = `# qdrant-dr: identity of ${recipient}\n${secret}\n`;
  if ((await files.create(file, text)) === "created") return { file, recipient };
  const kept = identityIn((await files.read(file)) ?? "");
  if (kept !== undefined) return { file, recipient: await identities.recipientOf(kept) };
  throw new DrError("SETTING_INVALID", `${file} is there already and holds no age identity`, {
    hint: "name another file",
  });
}
