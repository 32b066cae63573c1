import { holds, resolveLatestRestorable, type Wanted } from "../domain/recovery-points/catalog.ts";
import type { RecoveryPoint } from "../domain/recovery-points/recovery-point.ts";
import { DrError } from "../errors.ts";
import { readCatalog } from "../repository/catalog/read-catalog.ts";
import type { OpenRepository } from "../repository/repository.ts";

const looksLikeTime = /^\d{4}-/;
const timeWithZone = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;
const listHint = "`qdrant-dr recovery-points list` shows what is there, and what each recovery point lacks";

/** When `wanted` is a time: that time. Without a zone it would mean another time elsewhere. */
function parseRecoveryPointTime(wanted: string): Date | undefined {
  if (!looksLikeTime.test(wanted)) return undefined;
  const time = new Date(wanted);
  if (timeWithZone.test(wanted) && !Number.isNaN(time.getTime())) return time;
  throw new DrError("USAGE", `${wanted} is not a time with its zone`, {
    hint: "write it like 2026-05-31T14:30:00Z or 2026-05-31T16:30:00+02:00",
  });
}

/**
 * The recovery point with this id, the newest complete one for `latest`, or for a time the newest complete one whose capture began
 * at that time or earlier; refused unless it can be restored from here and holds what is wanted of it.
 */
export async function findRecoveryPoint(
  repository: OpenRepository,
  wanted: string,
  { collections, kinds = ["qdrant"] }: Wanted = {},
): Promise<RecoveryPoint> {
  const until = parseRecoveryPointTime(wanted);
  const contents = [...kinds, ...(collections ?? []).map((name) => `collection ${name}`)];
  const wantedContents = contents.length === 0 ? "" : ` with ${contents.join(", ")}`;
  const { entries } = await readCatalog(repository);
  if (wanted === "latest") {
    const latest = resolveLatestRestorable(entries, { collections, kinds });
    if (latest !== undefined) return latest.recoveryPoint;
    throw new DrError("RECOVERY_POINT_NOT_FOUND", `no complete recovery point${wantedContents} is in this bucket`, {
      hint: listHint,
    });
  }
  if (until !== undefined) {
    const then = resolveLatestRestorable(entries, { collections, kinds, until });
    if (then !== undefined) return then.recoveryPoint;
    throw new DrError(
      "RECOVERY_POINT_NOT_FOUND",
      `no complete recovery point${wantedContents} whose capture began at ${until.toISOString()} or before is in this bucket`,
      { hint: listHint },
    );
  }
  const entry = entries.find(({ id }) => id === wanted);
  if (entry === undefined) {
    throw new DrError("RECOVERY_POINT_NOT_FOUND", `there is no recovery point ${wanted} in this bucket`, {
      hint: "`qdrant-dr recovery-points list` lists them",
    });
  }
  if (entry.state === "complete" && entry.recoveryPoint !== undefined) {
    if (holds(entry.recoveryPoint, kinds)) return entry.recoveryPoint;
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
      hint: "copy it again from the other region, or use another recovery point",
    },
  );
}
