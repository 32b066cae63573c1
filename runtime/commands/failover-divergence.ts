/** What a region that was given up has and the other one has not, id by id. */
import type { RegionAccess } from "../adapters/access.ts";
import type { Deps, RegionOptions } from "../compose.ts";
import { formatCount } from "../domain/format.ts";
import { newestEpoch } from "../domain/roles/epoch.ts";
import { DrError } from "../errors.ts";
import type { VectorDatabase } from "../ports.ts";
import { readEpochs } from "../repository/control/epochs.ts";
import { type CollectionDivergence, findDivergence } from "../workflows/failover/report-divergence.ts";
import { compareWithObservation } from "../workflows/observe-collection.ts";
import type { Answer } from "./command.ts";
import { databaseAt } from "./restore-target.ts";

interface DivergenceOptions extends RegionOptions {
  readonly against?: string;
}

export async function tellDivergence(deps: Deps, access: RegionAccess, options: DivergenceOptions): Promise<Answer> {
  const active = await deps.access(access.region.peer, options);
  const { against } = options;
  const collections =
    against === undefined
      ? await findDivergence(access.database, active.database)
      : await findDivergence(access.database, await servedState(deps, active, against), { isServedState: true });
  const { region } = access.region;
  const text = collections.length === 0 ? `${region} holds nothing of its own` : `Only or otherwise in ${region}:`;
  return { json: { region, collections }, text: [text, ...collections.map(inWords)].join("\n") };
}

/** Throws VERIFICATION_FAILED when the Qdrant does not hold what the active region began to serve from. */
async function servedState(deps: Deps, active: RegionAccess, urls: string): Promise<VectorDatabase> {
  const { region } = active.region;
  const epoch = newestEpoch(await readEpochs(active.stores.control));
  if (epoch?.active !== region || epoch.reason !== "unplanned" || epoch.point === undefined) {
    throw new DrError(
      "ROLE_REFUSES",
      `${region} is not active since an unplanned failover: no point tells where it began`,
      {
        hint: "leave --against out; `qdrant-dr status` shows the roles",
      },
    );
  }
  const database = await databaseAt(deps, urls, "--against");
  const repository = await active.repository();
  const point = await repository.readPoint(epoch.point);
  const present = await database.collections();
  for (const captured of point.collections) {
    const [difference] = present.includes(captured.name)
      ? await compareWithObservation(database, captured, await repository.keys.key(captured.key))
      : [`${captured.name} is missing`];
    if (difference === undefined) continue;
    throw new DrError("VERIFICATION_FAILED", `what --against names does not hold ${point.id}: ${difference}`, {
      hint: `\`qdrant-dr restore --stack ${region} --point ${point.id} --to <url>\` into an empty Qdrant`,
    });
  }
  return database;
}

function inWords({ deletedThere, different, isMissing, name, onlyThere }: CollectionDivergence): string {
  const deleted = deletedThere === undefined ? "" : `, ${formatCount(deletedThere.length)} deleted there`;
  const missing = isMissing ? "; the collection is only there" : "";
  return `  ${name}: ${formatCount(onlyThere.length)} points only there, ${formatCount(different.length)} otherwise${deleted}${missing}`;
}
