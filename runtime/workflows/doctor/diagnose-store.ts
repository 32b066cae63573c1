/** Looks whether a store does what recovery points rest on, and which names in it are not of this tool. */
import { parseControlKey, parseStoreKey } from "../../domain/recovery-points/store-layout.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import type { StoreProtection } from "../../ports/store-protection.ts";
import type { RegionStores } from "../../repository/repository.ts";
import { probeStore, type StoreProbe } from "../probe-store.ts";

export interface StorePlace {
  readonly name: string;
  readonly store: ObjectStoreReader;
  isOurs(key: string): boolean;
}

export interface StoreDiagnosisRequest {
  readonly places: readonly StorePlace[];
  readonly protection: () => Promise<StoreProtection>;
  /** A store to try out, which keeps two small objects; left out: nothing is written. */
  readonly probe?: { readonly id: string; readonly store: ObjectStore } | undefined;
}

export interface StoreDiagnosis {
  readonly probe?: StoreProbe;
  readonly objects: number;
  readonly bytes: number;
  /** Names that this tool did not make, and ignores: the first of them, and how many there are. */
  readonly foreign: { readonly names: readonly string[]; readonly count: number };
  readonly protection: StoreProtection;
}

const foreignShown = 20;

export async function diagnoseStore({ places, probe, protection }: StoreDiagnosisRequest): Promise<StoreDiagnosis> {
  const probed = probe && (await probeStore(probe.store, probe.id));
  // What cannot even be created there says more than what is there.
  const found = await lookThrough(probed?.failed === undefined ? places : []);
  return { ...(probed === undefined ? {} : { probe: probed }), ...found, protection: await protection() };
}

async function lookThrough(
  places: readonly StorePlace[],
): Promise<Pick<StoreDiagnosis, "objects" | "bytes" | "foreign">> {
  let [objects, bytes, count] = [0, 0, 0];
  const names: string[] = [];
  for (const { isOurs, name, store } of places) {
    for await (const { key, size } of store.list("")) {
      objects += 1;
      bytes += size;
      if (isOurs(key)) continue;
      count += 1;
      if (names.length < foreignShown) names.push(`${name}: ${key}`);
    }
  }
  return { objects, bytes, foreign: { names, count } };
}

/** The two stores of a region. */
export function placesOf({ control, repository }: RegionStores): StorePlace[] {
  return [
    { name: "repository", store: repository, isOurs: (key) => parseStoreKey(key) !== undefined || isProbe(key) },
    { name: "control store", store: control, isOurs: (key) => parseControlKey(key) !== undefined },
  ];
}

/** Each store was tried out before anything was kept there. */
function isProbe(key: string): boolean {
  return parseControlKey(key)?.kind === "probe";
}
