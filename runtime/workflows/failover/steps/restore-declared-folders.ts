import type { RecoveryPoint } from "../../../domain/recovery-points/recovery-point.ts";
import { DrError, toDrError } from "../../../errors.ts";
import { readNewestHolding } from "../../../repository/catalog/read-catalog.ts";
import { FailoverRecords } from "../../../repository/control/failover-records.ts";
import { planFolderRestore, restoreFolders } from "../../folders/restore-folder.ts";
import { modeOf } from "../plan-failover.ts";
import type { DeclaredFolders, RoleChangeRequest } from "../request.ts";
import type { Step, StepContext } from "./step.ts";

type DeclaredFolder = DeclaredFolders["all"][number];

interface FoldersContext extends Pick<StepContext, "plan"> {
  readonly request: Pick<RoleChangeRequest, "clock" | "folders" | "progress" | "repository" | "run" | "runner">;
  readonly findings: Pick<StepContext["findings"], "foldersLeft">;
}

/** Clients search already. What an application reads when it starts, its configuration, comes before its data; one folder stops no other. */
export const restoreDeclaredFolders: Step<FoldersContext> = {
  name: "folders",
  title: "Restore configuration and user data",
  repeat: "always",
  // In a switchover both regions live, each with its folders.
  applies: ({ plan, request }) => modeOf(plan) === "failover" && (request.folders?.all.length ?? 0) > 0,
  async run(context) {
    const { clock, repository, run, runner } = context.request;
    const records = new FailoverRecords(repository.stores.control, context.plan.epoch, run, clock, runner);
    const done = await records.done();
    const said: string[] = [];
    for (const folder of context.request.folders?.all ?? []) {
      const { name } = folder;
      // An application may have changed it since.
      if (done.has(recordOf(name))) {
        said.push(`${name} by an earlier run`);
        continue;
      }
      try {
        said.push(await restoreOne(context, folder));
        await records.end(recordOf(name), clock.now());
      } catch (error) {
        const because = toDrError(error).message;
        context.findings.foldersLeft.push({ name, because });
        said.push(`${name} not: ${because}`);
      }
    }
    return said.join("; ");
  },
};

/** Each folder is restored once in an epoch. */
function recordOf(name: string): string {
  return `folder-${name}`;
}

async function restoreOne(
  { plan, request: { folders, progress, repository } }: FoldersContext,
  { kind, name, path }: DeclaredFolder,
): Promise<string> {
  if (folders === undefined) throw new Error("the step does not apply without folders");
  // What this region has captured since it was promoted is what stands here, not what was lost.
  const fits = ({ epoch, folders: held }: RecoveryPoint) =>
    epoch < plan.epoch && held.some((folder) => folder.kind === kind && folder.name === name);
  const entry = await readNewestHolding(repository, { kinds: [kind], fits });
  if (entry === undefined) {
    throw new DrError("RECOVERY_POINT_NOT_FOUND", `no complete recovery point of ${plan.from} holds it here`);
  }
  const request = {
    repository,
    recoveryPoint: entry.recoveryPoint,
    kinds: [kind],
    names: new Set([name]),
    target: folders.target,
    homes: new Map([[name, path]]),
    inPlace: true,
    progress,
    onInterrupt: folders.onInterrupt,
  };
  const [restored] = await restoreFolders(request, await planFolderRestore(request));
  const kept = restored?.keptAs === undefined ? "" : `, what was there is kept as ${restored.keptAs}`;
  return `${name} of ${entry.recoveryPoint.time} to ${path}${kept}`;
}
