/** What a person says of a recovery point: nothing is restored from it unasked, or it is restored from again. */
import type { CatalogEntry } from "../domain/recovery-points/catalog.ts";
import { standingQuarantines } from "../domain/recovery-points/quarantine.ts";
import { DrError } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import { attest } from "../repository/catalog/attest.ts";
import { readEntry } from "../repository/catalog/read-catalog.ts";
import type { OpenRepository } from "../repository/repository.ts";
import type { RegionSession } from "./region-session.ts";

export interface Judgement {
  readonly session: RegionSession;
  readonly clock: Clock;
  readonly id: string;
  /** Why, in words of who says it. */
  readonly because: string;
}

/** It is no base of captures either. Said again, it changes nothing. */
export async function quarantineRecoveryPoint(judgement: Judgement): Promise<CatalogEntry> {
  return judge(judgement, "quarantined", ({ attestations }) => standingQuarantines(attestations).length === 0);
}

/** Lifts every quarantine that was there before, whatever it was for. What `verify` finds later counts again. */
export async function releaseRecoveryPoint(judgement: Judgement): Promise<CatalogEntry> {
  return judge(judgement, "released", ({ attestations }) => standingQuarantines(attestations).length > 0);
}

async function judge(
  { because, clock, id, session }: Judgement,
  kind: "quarantined" | "released",
  isNews: (entry: CatalogEntry) => boolean,
): Promise<CatalogEntry> {
  const repository = await session.repository();
  const entry = await entryOf(repository, id);
  if (entry.recoveryPoint === undefined || !isNews(entry)) return entry;
  await attest(repository, kind, entry.recoveryPoint, {
    at: clock.now(),
    region: session.region.region,
    detail: because,
  });
  return entryOf(repository, id);
}

async function entryOf(repository: OpenRepository, id: string): Promise<CatalogEntry> {
  const entry = await readEntry(repository, id);
  if (entry !== undefined) return entry;
  throw new DrError("RECOVERY_POINT_NOT_FOUND", `there is no recovery point ${id} in this bucket`, {
    hint: "`qdrant-dr recovery-points list` lists them",
  });
}
