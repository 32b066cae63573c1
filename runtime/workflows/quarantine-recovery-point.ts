/** What a person says of a recovery point: nothing is restored from it unasked, or it is restored from again. */
import type { CatalogEntry } from "../domain/recovery-points/catalog.ts";
import { standingQuarantines } from "../domain/recovery-points/quarantine.ts";
import type { Attestation } from "../domain/recovery-points/recovery-point.ts";
import { DrError } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import { attest } from "../repository/catalog/attest.ts";
import { readEntry } from "../repository/catalog/read-catalog.ts";
import type { OpenRepository } from "../repository/repository.ts";
import type { RegionSession } from "./region-session.ts";

export interface Judgement {
  readonly session: Pick<RegionSession, "repository"> & { readonly region: Pick<RegionSession["region"], "region"> };
  readonly clock: Clock;
  readonly id: string;
  /** Why, in words of who says it. */
  readonly because: string;
}

/** This machine's clock may be behind another's by so much. */
const clocksDifferMs = 10 * 60_000;

/** It is no base of captures either. Said again, it changes nothing. */
export async function quarantineRecoveryPoint(judgement: Judgement): Promise<CatalogEntry> {
  const isNews = ({ attestations }: CatalogEntry) =>
    // One of its folders, or one that healing ends, is not all of it.
    !standingQuarantines(attestations).some(({ damaged, kind }) => kind === "quarantined" && damaged === undefined);
  return judge(judgement, "quarantined", isNews);
}

/**
 * Lifts every quarantine that was there before, whatever it was for. What `verify` finds later counts again. Throws
 * RECOVERY_POINT_INCOMPLETE when one stands that was said at a time that is to come.
 */
export async function releaseRecoveryPoint(judgement: Judgement): Promise<CatalogEntry> {
  const released = await judge(
    judgement,
    "released",
    ({ attestations }) => standingQuarantines(attestations).length > 0,
  );
  const [standing] = released.recoveryPoint === undefined ? [] : standingQuarantines(released.attestations);
  if (standing === undefined) return released;
  throw new DrError(
    "RECOVERY_POINT_INCOMPLETE",
    `${released.id} is quarantined still: ${standing.region} said so at ${standing.at}, which is to come`,
    {
      hint: "set the clocks of this machine and of that region right, and release it after that time",
    },
  );
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
    at: notBefore(standingQuarantines(entry.attestations), clock.now()),
    region: session.region.region,
    detail: because,
  });
  return entryOf(repository, id);
}

/** What is said of what stands is said after it, although its clock may be ahead. */
function notBefore(standing: readonly Attestation[], now: Date): Date {
  const ahead = standing.map(({ at }) => Date.parse(at)).filter((at) => at <= now.getTime() + clocksDifferMs);
  return new Date(Math.max(now.getTime(), ...ahead));
}

async function entryOf(repository: OpenRepository, id: string): Promise<CatalogEntry> {
  const entry = await readEntry(repository, id);
  if (entry !== undefined) return entry;
  throw new DrError("RECOVERY_POINT_NOT_FOUND", `there is no recovery point ${id} in this bucket`, {
    hint: "`qdrant-dr recovery-points list` lists them",
  });
}
