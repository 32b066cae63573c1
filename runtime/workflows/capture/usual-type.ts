import type { CaptureType } from "../../domain/recovery-points/recovery-point.ts";
import { hasCode } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import { fewQuestions } from "../../repository/catalog/content-presence.ts";
import { readNewestRecoveryPoint } from "../../repository/catalog/read-catalog.ts";
import type { RegionSession } from "../region-session.ts";

/** The type of a capture that names none: the first one is full, as there is nothing that it could go on from. */
export async function usualCaptureType(session: RegionSession, clock: Clock): Promise<CaptureType> {
  try {
    const { newest } = await readNewestRecoveryPoint(await session.repository(), clock.now(), {
      mostQuestions: fewQuestions,
    });
    return newest === undefined ? "full" : "incremental";
  } catch (error) {
    // What is wrong with the store the capture itself says, and records.
    return hasCode(error, "RECOVERY_POINT_NOT_FOUND") ? "full" : "incremental";
  }
}
