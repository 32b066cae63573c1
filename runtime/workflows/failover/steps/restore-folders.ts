import { modeOf } from "../plan-failover.ts";
import type { RoleChangeRequest } from "../request.ts";
import { foldersInWords, restoreDeclaredFolders } from "../restore-declared-folders.ts";
import type { Step, StepContext } from "./step.ts";

interface FoldersContext extends Pick<StepContext, "plan"> {
  readonly request: Pick<RoleChangeRequest, "clock" | "folders" | "progress" | "repository">;
  readonly findings: Pick<StepContext["findings"], "foldersLeft">;
}

/** Clients search already. */
export const restoreFoldersStep: Step<FoldersContext> = {
  name: "folders",
  title: "Restore configuration and user data",
  repeat: "always",
  // In a switchover both regions live, each with its folders.
  applies: ({ plan, request }) => modeOf(plan) === "failover" && (request.folders?.all.length ?? 0) > 0,
  async run({ findings, plan, request: { folders, ...request } }) {
    if (folders === undefined) return undefined;
    const { epoch, from } = plan;
    const report = await restoreDeclaredFolders({ ...request, folders, epoch, from });
    findings.foldersLeft.push(...report.left);
    return foldersInWords(report).join("; ");
  },
};
