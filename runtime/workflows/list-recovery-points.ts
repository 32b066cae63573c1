import { fewQuestions } from "../repository/catalog/content-presence.ts";
import { type Catalog, type CatalogBounds, readCatalog } from "../repository/catalog/read-catalog.ts";
import type { RegionSession } from "./region-session.ts";

/** So many are looked at by those who see in them how things are. */
export const newestFew: CatalogBounds = { most: 50, mostQuestions: fewQuestions };

/** The newest recovery points in a region's bucket, or all, judged, and the records beside them that cannot be read. */
export async function listRecoveryPoints(
  session: RegionSession,
  { isAll }: { readonly isAll: boolean },
): Promise<Omit<Catalog, "epochs">> {
  return readCatalog(await session.repository(), isAll ? {} : newestFew);
}
