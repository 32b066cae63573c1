/**
 * What a target's own defaults would make otherwise than captured, told before anything is restored. Qdrant tells its defaults for
 * collections nowhere: an empty scratch collection is made, looked at, and removed again.
 */
import { isRecord } from "../../domain/exact-json.ts";
import { defaultsScratchName as probe } from "../../domain/qdrant/scratch-name.ts";
import { toDrError } from "../../errors.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import { type Settings, settingDifferences } from "./collection-settings.ts";
import type { WantedCollection } from "./plan-apply.ts";

export interface SettingDifference {
  /** Its name on the target. */
  readonly collection: string;
  /** Both values of the setting, in words. */
  readonly difference: string;
  /** It changes what the data are or what clients may ask: the restore would be refused. */
  readonly isRefused: boolean;
}

export interface TargetDefaults {
  readonly differences: readonly SettingDifference[];
  /** Why the target's defaults are not known. */
  readonly problem?: string | undefined;
}

const plainVector = { size: 1, distance: "Dot" };

export async function findTargetDefaults(
  target: VectorDatabase,
  collections: readonly WantedCollection[],
): Promise<TargetDefaults> {
  if (collections.length === 0) return { differences: [] };
  try {
    const defaults = await defaultsOf(target);
    return { differences: collections.flatMap((each) => differencesOf(each, defaults)) };
  } catch (error) {
    return { differences: [], problem: toDrError(error).message };
  }
}

async function defaultsOf(target: VectorDatabase): Promise<Settings> {
  await target.deleteCollection(probe);
  try {
    await target.createCollection({ name: probe, config: { params: { vectors: plainVector } }, payloadIndexes: {} });
    return (await target.describe(probe)).config;
  } finally {
    await target.deleteCollection(probe);
  }
}

function differencesOf({ captured, name }: WantedCollection, defaults: Settings): SettingDifference[] {
  if (!isRecord(captured.config)) return [];
  const { decisive, others } = settingDifferences(captured.config, withDefaults(captured.config, defaults));
  const tell = (isRefused: boolean) => (difference: string) => ({ collection: name, difference, isRefused });
  return [...decisive.map(tell(true)), ...others.map(tell(false))];
}

/** As the target would make it: what is not set becomes what its defaults are. */
function withDefaults(captured: Settings, defaults: Settings): Settings {
  const params = isRecord(captured["params"]) ? captured["params"] : {};
  const defaultParams = isRecord(defaults["params"]) ? defaults["params"] : {};
  const { vectors: defaultVector, ...otherParams } = defaultParams;
  const { metadata: _clients, params: _params, ...others } = defaults;
  const filled = filledIn(captured, others);
  return {
    ...filled,
    params: { ...filledIn(params, otherParams), vectors: vectorsIn(params["vectors"], defaultVector) },
  };
}

function vectorsIn(captured: unknown, plain: unknown): unknown {
  if (!isRecord(captured) || !isRecord(plain)) return captured;
  if ("size" in captured) return filledIn(captured, plain);
  return Object.fromEntries(Object.entries(captured).map(([name, each]) => [name, filledIn(each, plain)]));
}

/** Objects are filled in field by field. */
function filledIn(captured: unknown, defaults: unknown): Settings {
  const [own, other] = [isRecord(captured) ? captured : {}, isRecord(defaults) ? defaults : {}];
  const filled: Record<string, unknown> = { ...own };
  for (const [field, value] of Object.entries(other)) {
    if (own[field] === null || own[field] === undefined) filled[field] = value;
    else if (isRecord(own[field]) && isRecord(value) && isFilled(field)) filled[field] = filledIn(own[field], value);
  }
  return filled;
}

/** A quantization is one of several kinds: one that is given has nothing of another. */
function isFilled(field: string): boolean {
  return field !== "quantization_config";
}
