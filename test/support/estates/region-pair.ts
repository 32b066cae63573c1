/**
 * Two regions whose stores are folders, `east` active in the first epoch. Their outputs are in `<folder>/regions`, as commands
 * read them; of servers there are those that are given.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Region } from "../../../runtime/domain/region.ts";
import { claimEpoch } from "../../../runtime/repository/control/epochs.ts";
import { lonelyRegion } from "./lonely-region.ts";
import { firstEpoch } from "./recovery-estate.ts";
import { storeOf } from "./test-trust.ts";

export type RegionPair = Readonly<Record<"east" | "west", Region>>;

export async function regionPair(
  folder: string,
  own: Readonly<Partial<Record<"east" | "west", Partial<Region>>>>,
): Promise<RegionPair> {
  const { outputs } = await lonelyRegion("east", folder);
  mkdirSync(join(folder, "regions"));
  const made = async (name: "east" | "west", peer: string): Promise<Region> => {
    const [repository, control] = [join(folder, `${name}-repository`), join(folder, `${name}-control`)];
    for (const store of [repository, control]) mkdirSync(store);
    const region: Region = {
      ...outputs,
      region: name,
      peer,
      repository: { kind: "file", folder: repository },
      control: { kind: "file", folder: control },
      ...own[name],
    };
    writeFileSync(join(folder, "regions", `${name}.json`), JSON.stringify(region));
    await claimEpoch(storeOf(region, "control"), firstEpoch);
    return region;
  };
  return { east: await made("east", "west"), west: await made("west", "east") };
}
