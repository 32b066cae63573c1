import type { OrphanedPieces } from "../../../repository/content/content-writer.ts";

/** What a capture does once, before it stores the first thing. */
export interface Storing {
  /** To be awaited before anything is stored. */
  begin(): Promise<void>;
  /** What captures that were cut off have stored already; looked for once. */
  orphanedPieces(): Promise<OrphanedPieces | undefined>;
}
