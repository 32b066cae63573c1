/**
 * Settings of a collection that a target may make otherwise than they were captured: what was not set when they were
 * captured, the target's own defaults set. And strict mode, which would refuse what a restore has to do.
 */

import { canonicalJson, isRecord, withPlainFloats } from "../../domain/exact-json.ts";
import { DrError } from "../../errors.ts";
import type { Progress } from "../../ports/progress.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";

export type Settings = Readonly<Record<string, unknown>>;

/** What the data are, how they are kept, and what clients noted beside them. */
const decisive = ["params", "quantization_config", "metadata"] as const;
/** How fast they are found. */
const others = ["hnsw_config", "optimizer_config", "wal_config"] as const;

/** Compares a collection that was just made, and turns its strict mode off. Throws when what differs cannot be taken back. */
export async function prepareSettings(
  { progress, target }: { readonly target: VectorDatabase; readonly progress: Progress },
  name: string,
  captured: Settings,
): Promise<void> {
  const { config: made } = await target.describe(name);
  for (const part of decisive) {
    const found = partDifferences(part, captured, made);
    if (found.length > 0) throw refusal(name, `the target made it with another ${part} than captured`, found);
  }
  const told = others.flatMap((part) => partDifferences(part, captured, made));
  if (told.length > 0) {
    progress({ step: "apply", detail: `${name}: the target has its own settings: ${told.join("; ")}` });
  }
  const own = settingsIn(made["strict_mode_config"]);
  if (own === undefined) return;
  // Nothing takes a limit of strict mode away again.
  refuseOtherLimits(name, captured, { ...own, ...settingsIn(captured["strict_mode_config"]) });
  await target.setStrictMode(name, { enabled: false });
}

/** What differs in a collection as it was, or would be, made: what a restore is refused for, and what it only tells. */
export function settingDifferences(
  captured: Settings,
  made: Settings,
): { readonly decisive: readonly string[]; readonly others: readonly string[] } {
  return {
    decisive: [
      ...decisive.flatMap((part) => partDifferences(part, captured, made)),
      ...limitDifferences(captured, made["strict_mode_config"]),
    ],
    others: others.flatMap((part) => partDifferences(part, captured, made)),
  };
}

function partDifferences(part: string, captured: Settings, made: Settings): string[] {
  return differencesOf(part, settingOf(captured, part), settingOf(made, part));
}

/** Last of all: from then on, it refuses what it forbids. */
export async function setStrictMode(target: VectorDatabase, name: string, captured: Settings): Promise<void> {
  const strict = settingsIn(captured["strict_mode_config"]);
  if (strict === undefined) return;
  await target.setStrictMode(name, strict);
  const { config } = await target.describe(name);
  refuseOtherLimits(name, captured, config["strict_mode_config"]);
}

/** Qdrant decides whether a setting is a float; recovery points of before hold its `1.0` as 1. Metadata are the clients'. */
function settingOf(config: Settings, part: string): unknown {
  return part === "metadata" ? config[part] : withPlainFloats(config[part]);
}

function refuseOtherLimits(name: string, captured: Settings, made: unknown): void {
  const found = limitDifferences(captured, made);
  if (found.length > 0) throw refusal(name, "on the target, it would refuse other requests than captured", found);
}

/** Of a strict mode that is off, limits are of no consequence. */
function limitDifferences({ strict_mode_config: captured }: Settings, made: unknown): string[] {
  if (settingsIn(captured)?.["enabled"] !== true) return [];
  return differencesOf("strict_mode_config", withPlainFloats(captured), withPlainFloats(made));
}

function refusal(name: string, what: string, found: readonly string[]): DrError {
  return new DrError("QDRANT_REFUSED", `${name}: ${what}: ${found.join("; ")}`, {
    hint: "take the defaults for collections out of the configuration of the target's Qdrant, delete the collection if it is still there, and do it again",
  });
}

/** Both values of every setting that differs. Null is what was never set. */
export function differencesOf(path: string, captured: unknown, made: unknown): string[] {
  const [before, now] = [settingsIn(captured), settingsIn(made)];
  if (before !== undefined && now !== undefined) {
    const fields = new Set([...Object.keys(before), ...Object.keys(now)]);
    return [...fields].sort().flatMap((field) => differencesOf(`${path}.${field}`, before[field], now[field]));
  }
  if (canonicalJson(captured ?? null) === canonicalJson(made ?? null)) return [];
  return [`${path} is ${formatSetting(made)} where ${formatSetting(captured)} was captured`];
}

function formatSetting(value: unknown): string {
  return value === null || value === undefined ? "nothing" : canonicalJson(value);
}

/** Without what was never set. */
function settingsIn(value: unknown): Settings | undefined {
  if (!isRecord(value)) return undefined;
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== null && each !== undefined));
}
