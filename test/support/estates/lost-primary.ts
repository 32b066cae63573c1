/** A practice estate as a disaster leaves it: its primary region destroyed, its standby not yet promoted. */
import { EmbeddedEstate } from "../../../quickstart/adapters/embedded-estate.ts";
import { practiceGround } from "../../../quickstart/practice-ground.ts";
import type { WritingClient } from "../../../quickstart/workflow/practise-disaster.ts";
import { projectFolder } from "../../../runtime/composition/compose.ts";
import type { Region } from "../../../runtime/domain/region.ts";
import { systemClock } from "../../../runtime/time/system-clock.ts";

const ignore = () => {};

export interface LostPrimary {
  readonly estate: EmbeddedEstate;
  readonly standby: Region;
  /** Writes on. */
  readonly client: WritingClient;
  /** The recovery points, oldest first: as many as were asked for, in the standby's bucket. */
  readonly points: readonly string[];
  /** When the primary's processes were gone. */
  readonly goneAt: Date;
}

/** @param estates root of the estates; the caller removes the estate. */
export async function loseThePrimary(estates: string, totalPoints: number, captures = 1): Promise<LostPrimary> {
  const before = process.env["QDRANT_DR_ESTATES"];
  process.env["QDRANT_DR_ESTATES"] = estates;
  try {
    const estate = await EmbeddedEstate.create();
    const ground = practiceGround({
      estate,
      totalPoints,
      clock: systemClock,
      toolVersion: "0.0.0",
      versions: {},
      workspace: projectFolder,
    });
    await estate.stacks.up("standby", ignore);
    await estate.stacks.up("primary", ignore);
    const { collections } = await ground.load(ignore);
    const client = await ground.startClient(collections.map(({ name }) => name));
    await client.until((log) => log.length > 30, 30_000);
    const points: string[] = [];
    while (points.length < captures) {
      const written = (await client.log()).length;
      points.push((await ground.capture(points.length === 0 ? "full" : "incremental", ignore)).recoveryPoint);
      await client.until((log) => log.length > written + 30, 30_000);
    }
    await ground.copy(ignore);
    const standby = await estate.stacks.region("standby");
    const { goneAt } = await ground.destroyPrimary();
    await estate.keep();
    return { estate, standby, client, points, goneAt };
  } finally {
    if (before === undefined) delete process.env["QDRANT_DR_ESTATES"];
    else process.env["QDRANT_DR_ESTATES"] = before;
  }
}
