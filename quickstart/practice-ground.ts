/** Composes what a practised disaster needs from a practice estate and the product's own workflows. */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { ThisProcess } from "../runtime/adapters/this-process.ts";
import { RegionAccess } from "../runtime/composition/region-access.ts";
import type { Clock } from "../runtime/ports/clock.ts";
import { readCatalog } from "../runtime/repository/catalog/read-catalog.ts";
import { captureRecoveryPoint } from "../runtime/workflows/capture/capture-recovery-point.ts";
import { copyRecoveryPoints } from "../runtime/workflows/copy/copy-recovery-points.ts";
import { failOver } from "../runtime/workflows/failover/fail-over.ts";
import { planFailover } from "../runtime/workflows/failover/plan-failover.ts";
import type { FailoverRequest } from "../runtime/workflows/failover/request.ts";
import { verifyRecoveryPoint } from "../runtime/workflows/verify/verify-recovery-point.ts";
import type { EmbeddedEstate } from "./adapters/embedded-estate.ts";
import { readWorkspace } from "./adapters/workspace-documents.ts";
import { QdrantWorkspaceLoader } from "./adapters/workspace-loader.ts";
import { startWritingClient } from "./adapters/writing-client-process.ts";
import { loadWorkspace } from "./workflow/load-workspace.ts";
import type { PracticeEstate } from "./workflow/practise-disaster.ts";

export interface PracticeGroundRequest {
  readonly estate: EmbeddedEstate;
  readonly clock: Clock;
  readonly toolVersion: string;
  /** Where the documents are that are loaded. */
  readonly workspace: string;
  readonly totalPoints: number;
  /** Versions of the parts, for the report. */
  readonly versions: Readonly<Record<string, string>>;
}

export function practiceGround(request: PracticeGroundRequest): PracticeEstate {
  const { clock, estate, toolVersion, totalPoints, versions, workspace } = request;
  const known = new Map<string, Promise<RegionAccess>>();
  const access = (region: "primary" | "standby") => {
    const opened = known.get(region) ?? estate.stacks.region(region).then((outputs) => new RegionAccess(outputs));
    known.set(region, opened);
    return opened;
  };
  const endpoint = async () => {
    const { region } = await access("standby");
    if (region.endpoint === undefined) throw new Error("the embedded standby declares the endpoint");
    return region.endpoint;
  };
  return {
    stacks: estate.stacks,
    async load(progress) {
      const { clientKey, url } = await endpoint();
      const collections = await readWorkspace(workspace, { totalPoints });
      return loadWorkspace(collections, new QdrantWorkspaceLoader({ url, apiKey: clientKey }), { clock, progress });
    },
    async startClient(collections) {
      const folder = join(estate.folder, "client");
      return startWritingClient({ estate: estate.id, folder, endpoint: await endpoint(), collections });
    },
    async capture(type, progress) {
      const { database, region, ...primary } = await access("primary");
      const repository = await (await access("primary")).repositoryForWriting();
      return captureRecoveryPoint({
        ...primary,
        region: region.region,
        type,
        database,
        repository,
        clock,
        progress,
        toolVersion,
      });
    },
    async copy(progress) {
      return copyRecoveryPoints(await (await access("primary")).repository(), await access("standby"), progress, clock);
    },
    async verify(progress) {
      const repository = await (await access("standby")).repository();
      const reports = [];
      for (const { recoveryPoint } of (await readCatalog(repository)).entries) {
        if (recoveryPoint !== undefined)
          reports.push(await verifyRecoveryPoint(repository, recoveryPoint, { clock, progress, region: "standby" }));
      }
      return reports;
    },
    database: async (region) => (await access(region)).database,
    destroyPrimary: () => estate.destroyRegion("primary", ["qdrant", "gate", "store"]),
    async failOver(progress) {
      // As an operator's command would: nothing is known but the name of the stack.
      const standby = new RegionAccess(await estate.stacks.region("standby"));
      const request: FailoverRequest = {
        kind: "failover",
        stack: "standby",
        region: standby.region,
        repository: await standby.repository(),
        database: standby.database,
        gate: standby.gate(),
        traffic: standby.traffic(),
        stacks: estate.stacks,
        lostControl: undefined,
        run: randomUUID(),
        runner: new ThisProcess(),
        acceptedDataLossSeconds: standby.region.objectives.rpoMinutes * 60,
        clock,
        progress,
      };
      return failOver(request, await planFailover(request));
    },
    async versions() {
      return { ...versions, "Qdrant server": await (await access("standby")).database.version() };
    },
  };
}
