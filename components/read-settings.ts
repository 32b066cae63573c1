/** The only reader of `pulumi.Config`. */
import * as pulumi from "@pulumi/pulumi";
import {
  type ProcessesSecrets,
  parseStackSettings,
  processesSecretsSchema,
  type StackSettings,
  settingNames,
} from "../runtime/domain/stack-settings.ts";

export function readSettings(): StackSettings {
  const config = new pulumi.Config();
  const given = Object.fromEntries(
    settingNames.flatMap((name) => {
      const text = config.get(name);
      return text === undefined ? [] : [[name, plainOrJson(text)]];
    }),
  );
  return parseStackSettings(pulumi.getStack(), given);
}

export function readSecrets(): pulumi.Output<ProcessesSecrets> {
  return new pulumi.Config().requireSecretObject("secrets").apply((secrets) => processesSecretsSchema.parse(secrets));
}

/** Objects and lists reach a program as JSON, plain values as they are. */
function plainOrJson(text: string): unknown {
  return /^\s*[[{]/.test(text) ? JSON.parse(text) : text;
}
