import { resolveLatestRestorable } from "../domain/catalog.ts";
import type { RecoveryPoint } from "../domain/recovery-point.ts";
import { DrError } from "../errors.ts";
import type { OpenRepository } from "../repository/repository.ts";

/** The point with this id, or the newest complete one for `latest`; refused unless it can be restored from here. */
export async function findPoint(repository: OpenRepository, wanted: string): Promise<RecoveryPoint> {
  const { entries } = await repository.catalog();
  if (wanted === "latest") {
    const latest = resolveLatestRestorable(entries);
    if (latest !== undefined) return latest.point;
    throw new DrError("POINT_NOT_FOUND", "no complete recovery point is in this bucket", {
      hint: "`qdrant-dr points` shows what is there, and what each point lacks",
    });
  }
  const entry = entries.find(({ id }) => id === wanted);
  if (entry === undefined) {
    throw new DrError("POINT_NOT_FOUND", `there is no recovery point ${wanted} in this bucket`, {
      hint: "`qdrant-dr points` lists them",
    });
  }
  if (entry.state === "complete" && entry.point !== undefined) return entry.point;
  throw new DrError("POINT_INCOMPLETE", `${wanted} is ${entry.state}: ${entry.reasons.slice(0, 3).join("; ")}`, {
    hint: "copy it again from the other region, or use another point",
  });
}
