/** Looks whether a store does what recovery points rest on, and which names in it are not of this tool. */
import {
  controlLayout,
  isProbe,
  keyBelowStream,
  parseControlKey,
  parseStoreKey,
} from "../../domain/recovery-points/store-layout.ts";
import { DrError } from "../../errors.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import type { StoreProtection } from "../../ports/store-protection.ts";
import type { WriterRights } from "../../ports/writer-rights.ts";
import type { RegionStores } from "../../repository/repository.ts";
import { allChecks, probeStore, type StoreProbe } from "../probe-store.ts";

export interface StorePlace {
  readonly name: string;
  readonly store: ObjectStoreReader;
  isOurs(key: string): boolean;
}

export interface StoreDiagnosisRequest {
  readonly places: readonly StorePlace[];
  readonly protection: () => Promise<StoreProtection>;
  /** A store to try out, which keeps small objects; left out: nothing is written. */
  readonly probe?:
    | {
        readonly id: string;
        readonly store: ObjectStore;
        /** Tries out what its credentials can do to an object of this key. */
        writerRights(key: string): Promise<WriterRights>;
      }
    | undefined;
}

export interface StoreDiagnosis {
  readonly probe?: StoreProbe;
  readonly objects: number;
  readonly bytes: number;
  /** Names that this tool did not make, and ignores: the first of them, and how many there are. */
  readonly foreign: { readonly names: readonly string[]; readonly count: number };
  readonly protection: StoreProtection;
  /** What its credentials can do to what is there; absent where nothing was tried out. */
  readonly writer?: WriterRights;
}

const foreignShown = 20;

export async function diagnoseStore(request: StoreDiagnosisRequest): Promise<StoreDiagnosis> {
  const { places, probe } = request;
  const protection = await request.protection();
  const tried = probe === undefined ? {} : await tryOut(probe, protection);
  // What cannot even be created there says more than what is there.
  const found = await lookThrough(tried.probe?.failed === undefined ? places : []);
  return { ...tried, ...found, protection };
}

async function tryOut(
  { id, store, writerRights }: NonNullable<StoreDiagnosisRequest["probe"]>,
  { lockedDays }: StoreProtection,
): Promise<Pick<StoreDiagnosis, "probe" | "writer">> {
  const probe = await probeStore(store, id, allChecks);
  if (probe.failed !== undefined) return { probe };
  const writer = await writerRights(controlLayout.probe(id, "tried"));
  const isLockBroken = lockedDays !== undefined && lockedDays > 0 && writer.destroys && !writer.bypassesLock;
  if (!isLockBroken) return { probe, writer };
  throw new DrError("NOT_SUPPORTED", `the store says that it locks objects for ${lockedDays} days, and deletes one`, {
    hint: "do not count on its lock: use a store that keeps what it locks",
  });
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
    { name: "repository", store: repository, isOurs: isOfRepository },
    { name: "control store", store: control, isOurs: (key) => parseControlKey(key) !== undefined },
  ];
}

function isOfRepository(key: string): boolean {
  return parseStoreKey(keyBelowStream(key) ?? key) !== undefined || isProbe(key);
}
