import {
  doubtIn,
  holds,
  isRestoredByName,
  type RestorableEntry,
  type Wanted,
} from "../domain/recovery-points/catalog.ts";
import { dataKinds, type RecoveryPoint } from "../domain/recovery-points/recovery-point.ts";
import { parseZonedTime } from "../domain/zoned-time.ts";
import { DrError } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Progress } from "../ports/progress.ts";
import { readEntry, readNewestHolding } from "../repository/catalog/read-catalog.ts";
import type { OpenRepository } from "../repository/repository.ts";

export interface Asked extends Wanted {
  /** One that is named by its id is taken although it is quarantined. */
  readonly althoughQuarantined?: boolean | undefined;
}

const looksLikeTime = /^\d{4}-/;
const listHint = "`qdrant-dr recovery-points list` shows what is there, and what each recovery point lacks";

/** When `wanted` is a time: that time. */
function parseRecoveryPointTime(wanted: string): Date | undefined {
  return looksLikeTime.test(wanted) ? parseZonedTime(wanted) : undefined;
}

/**
 * The recovery point with this id, for `latest` the newest complete one that holds what is asked for, or for a time the newest such
 * whose capture began at that time or earlier; refused unless it can be restored from here and holds the kinds.
 */
export async function findRecoveryPoint(
  repository: OpenRepository,
  wanted: string,
  asked: Asked,
  { clock, progress }: { readonly clock: Clock; readonly progress: Progress },
): Promise<RecoveryPoint> {
  const entry = await chooseRecoveryPoint(repository, wanted, asked);
  if (entry.state === "quarantined") {
    progress({
      step: "quarantine",
      detail: `${entry.id} is restored although it is quarantined: ${entry.reasons.join("; ")}`,
    });
  }
  const doubt = doubtIn(entry, clock.now());
  if (doubt !== undefined) progress({ step: "clock", detail: doubt });
  return entry.recoveryPoint;
}

/**
 * What `verify` reads: the recovery point with this id; for `latest` or a time the newest that holds Qdrant's data, and with it the
 * newest of each other kind that is captured apart: what only they hold would never be read otherwise.
 */
export async function findRecoveryPointsOfAllKinds(
  repository: OpenRepository,
  wanted: string,
): Promise<readonly RecoveryPoint[]> {
  const until = parseRecoveryPointTime(wanted);
  if (wanted !== "latest" && until === undefined) {
    return [(await chooseRecoveryPoint(repository, wanted, { kinds: [] })).recoveryPoint];
  }
  const newest: RestorableEntry[] = [];
  for (const kind of dataKinds) {
    const found = await readNewestHolding(repository, { kinds: [kind], until });
    if (found !== undefined) newest.push(found);
  }
  if (newest.length === 0) return [(await chooseRecoveryPoint(repository, wanted, { kinds: [] })).recoveryPoint];
  return [...new Map(newest.map(({ id, recoveryPoint }) => [id, recoveryPoint])).values()];
}

async function chooseRecoveryPoint(
  repository: OpenRepository,
  wanted: string,
  { althoughQuarantined = false, broughtTo, collections, kinds = ["qdrant"] }: Asked,
): Promise<RestorableEntry> {
  const until = parseRecoveryPointTime(wanted);
  const contents = [...kinds, ...(collections ?? []).map((name) => `collection ${name}`)];
  const wantedContents = contents.length === 0 ? "" : ` with ${contents.join(", ")}`;
  if (wanted === "latest" || until !== undefined) {
    if (althoughQuarantined) {
      throw new DrError("USAGE", "a quarantined recovery point is taken only by its id", {
        hint: "name it with --recovery-point; `qdrant-dr recovery-points list` shows it, and why it is quarantined",
      });
    }
    const found = await readNewestHolding(repository, { broughtTo, kinds, collections, until });
    if (found !== undefined) return found;
    const begun = until === undefined ? "" : ` whose capture began at ${until.toISOString()} or before`;
    const leads = broughtTo === undefined ? "" : `, and from which a journal leads to ${broughtTo.toISOString()},`;
    throw new DrError(
      "RECOVERY_POINT_NOT_FOUND",
      `no complete recovery point${wantedContents}${begun}${leads} is in this bucket`,
      { hint: listHint },
    );
  }
  const entry = await readEntry(repository, wanted);
  if (entry === undefined) {
    throw new DrError("RECOVERY_POINT_NOT_FOUND", `there is no recovery point ${wanted} in this bucket`, {
      hint: "`qdrant-dr recovery-points list` lists them",
    });
  }
  if (isRestoredByName(entry, althoughQuarantined)) {
    if (holds(entry.recoveryPoint, kinds)) return entry;
    throw new DrError(
      "USAGE",
      `${wanted} holds ${entry.recoveryPoint.kinds.join(", ")}, and ${kinds.join(", ")} was asked for`,
      { hint: "`qdrant-dr recovery-points list` shows what each one holds; --only names what is wanted" },
    );
  }
  throw new DrError(
    "RECOVERY_POINT_INCOMPLETE",
    `${wanted} is ${entry.state}: ${entry.reasons.slice(0, 3).join("; ")}`,
    {
      hint:
        entry.state === "quarantined"
          ? "use another recovery point; --although-quarantined takes it all the same, and `qdrant-dr recovery-points release` lifts the quarantine"
          : "copy it again from the other region, or use another recovery point",
    },
  );
}
