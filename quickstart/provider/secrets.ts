/**
 * Secrets reach a provider wrapped in an object with this signature (pulumi sdk/go/common/resource/sig/sig.go). Inputs
 * are echoed as they came, so that secrets stay secret in the state; only the acting code sees them plain.
 */
import type { Inputs } from "./resource-kind.ts";

const signatureKey = "4dabf18193072939515e22adb298388d";
const secretSignature = "1b47061264138c4ac30d75fd1eb44270";

export function plainInputs(inputs: unknown): Inputs {
  return plain(inputs) as Inputs;
}

function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  const members = value as Record<string, unknown>;
  if (members[signatureKey] === secretSignature) return plain(members["value"]);
  return Object.fromEntries(Object.entries(members).map(([name, member]) => [name, plain(member)]));
}
