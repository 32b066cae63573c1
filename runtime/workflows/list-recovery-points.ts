import type { KeptRecoveryPoint } from "../domain/history/kept-recovery-points.ts";
import { fewQuestions } from "../repository/catalog/content-presence.ts";
import { type Catalog, type CatalogBounds, readCatalog } from "../repository/catalog/read-catalog.ts";
import { readKept } from "../repository/control/kept-records.ts";
import type { RegionSession } from "./region-session.ts";

/** So many are looked at by those who see in them how things are. */
export const newestFew: CatalogBounds = { most: 50, mostQuestions: fewQuestions };

export interface ListedCatalog extends Omit<Catalog, "epochs"> {
  /** What people said of how long recovery points are kept, by their ids. */
  readonly kept: ReadonlyMap<string, KeptRecoveryPoint>;
}

/** The newest recovery points in a region's bucket, or all, judged, and the records beside them that cannot be read. */
export async function listRecoveryPoints(
  session: RegionSession,
  { isAll }: { readonly isAll: boolean },
): Promise<ListedCatalog> {
  const repository = await session.repository();
  const catalog = await readCatalog(repository, isAll ? {} : newestFew);
  const unreadable = new Set(catalog.unreadable);
  const kept = await readKept(repository.stores.control, (key) => unreadable.add(key));
  return { ...catalog, kept, unreadable: [...unreadable] };
}
