import { type Catalog, readCatalog } from "../repository/catalog/read-catalog.ts";
import type { RegionSession } from "./region-session.ts";

/** Every recovery point in a region's bucket, judged, and the records beside them that cannot be read. */
export async function listRecoveryPoints(session: RegionSession): Promise<Pick<Catalog, "entries" | "unreadable">> {
  return readCatalog(await session.repository());
}
