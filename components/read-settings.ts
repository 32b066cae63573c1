/** The only reader of `pulumi.Config`. */
import * as pulumi from "@pulumi/pulumi";
import { parseStackSettings, type StackSettings } from "../runtime/domain/settings/stack-settings.ts";

const secretsName = "secrets";

export function readSettings(): StackSettings {
  return parseStackSettings(pulumi.getStack(), readGivenSettings());
}

/** Every setting of the project that the stack gives, so that a slip in a name is refused too. */
export function readGivenSettings(): Readonly<Record<string, unknown>> {
  const prefix = `${pulumi.getProject()}:`;
  const given = Object.entries(pulumi.runtime.allConfig()).filter(
    ([key]) => key.startsWith(prefix) && key !== `${prefix}${secretsName}`,
  );
  return Object.fromEntries(given.map(([key, text]) => [key.slice(prefix.length), plainOrJson(text)]));
}

/** The stack's secret setting as it stands, if it has one: whoever parses it shows none of it. */
export function readSecrets(): unknown {
  const text = pulumi.runtime.allConfig()[`${pulumi.getProject()}:${secretsName}`];
  return text === undefined ? undefined : plainOrJson(text);
}

/** Objects and lists reach a program as JSON, plain values as they are. */
function plainOrJson(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    // A plain value that only begins like one: the schema judges it, and its words are not shown when it is secret.
    return text;
  }
}
