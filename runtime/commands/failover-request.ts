/** Composes what a run of a failover acts on, from the outputs of the two regions. */
import { randomUUID } from "node:crypto";
import { RegionAccess } from "../adapters/access.ts";
import { readHooks } from "../adapters/hook-commands.ts";
import { ThisProcess } from "../adapters/this-process.ts";
import type { Deps, RegionOptions } from "../compose.ts";
import { newestEpoch } from "../domain/roles/epoch.ts";
import { within } from "../domain/within.ts";
import { toDrError } from "../errors.ts";
import { readEpochs } from "../repository/control/epochs.ts";
import type { OpenRepository } from "../repository/repository.ts";
import { failoverSteps } from "../workflows/failover/failover-run.ts";
import type { FailoverRequest, HandOver } from "../workflows/failover/request.ts";
import { slowestQuery } from "../workflows/failover/slowest-query.ts";
import { Replication } from "../workflows/replicate/replication.ts";

export interface FailoverOptions extends RegionOptions {
  readonly to: string;
  readonly planned?: boolean;
  readonly acceptDataLoss?: number;
  readonly point?: string;
  readonly hooks?: string;
}

/** No longer is a region asked that is given up: each second of it is one without service. */
const lostRegionAnswersWithinMs = 5_000;
/** And none of its servers for longer than this. */
const lostServerAnswersWithinMs = 2_000;

export async function requestFor(
  deps: Deps,
  access: RegionAccess,
  repository: OpenRepository,
  options: FailoverOptions,
): Promise<FailoverRequest> {
  const { hooks: hooksFile, planned, point, to } = options;
  // Not by the public name, which may lead elsewhere for a while yet.
  const askQueries = () => slowestQuery(access.database);
  const common = {
    ...{ stack: to, region: access.region, repository, database: access.database },
    ...{ gate: access.gate(), traffic: access.region.endpoint && access.traffic() },
    stacks: await deps.stacks(options),
    hooks: hooksFile === undefined ? undefined : await readHooks(hooksFile, failoverSteps, deps.progress, askQueries),
    ...{ run: randomUUID(), runner: new ThisProcess() },
    ...{ clock: deps.clock, progress: deps.progress },
  };
  if (planned) {
    const handOver = await handOverBy(deps, access, repository, await deps.access(access.region.peer, options));
    return { ...common, handOver, otherControl: handOver.control, acceptedDataLossSeconds: 0 };
  }
  return {
    ...common,
    point,
    witness: access.witness(),
    otherControl: (await reachOther(deps, access.region.peer, options))?.stores.control,
    acceptedDataLossSeconds: options.acceptDataLoss ?? 0,
  };
}
async function handOverBy(
  deps: Deps,
  access: RegionAccess,
  repository: OpenRepository,
  active: RegionAccess,
): Promise<HandOver> {
  const newest = newestEpoch(await readEpochs(repository.stores.control));
  // Its own past: it was active until it was given up.
  const wasActive = newest?.previous === access.region.region && newest.active !== access.region.region;
  const replication = new Replication({
    source: { region: active.region.region, database: active.database, control: active.stores.control },
    standby: { region: access.region.region, database: access.database, repository },
    existing: wasActive ? "replace" : "refuse",
    isHandOver: true,
    ...{ toolVersion: deps.toolVersion, clock: deps.clock, progress: deps.progress },
  });
  return {
    region: active.region.region,
    database: active.database,
    control: active.stores.control,
    gate: active.gate(),
    isSuperseding: wasActive && newest?.reason === "unplanned",
    async cycle({ patience }) {
      const { applySeconds, captureSeconds, ...report } = await replication.cycle(patience);
      return { ...report, seconds: captureSeconds + applySeconds };
    },
  };
}

/** The lost region's outputs may be in a backend that still answers, or that hangs; its store most likely does not. */
async function reachOther(deps: Deps, peer: string, options: FailoverOptions): Promise<RegionAccess | undefined> {
  if (options.outputs !== undefined) return undefined;
  try {
    const outputs = await within(lostRegionAnswersWithinMs, `the state backend of ${peer}`, async () =>
      (await deps.stacks(options)).region(peer),
    );
    return new RegionAccess(outputs, undefined, lostServerAnswersWithinMs);
  } catch (error) {
    deps.progress({ step: "assess", detail: `the other region cannot be told: ${toDrError(error).message}` });
    return undefined;
  }
}
