/** Options that failover and switchover share, and what they act with. */
import type { Command } from "commander";
import type { Deps, RegionOptions } from "../../composition/deps.ts";
import type { RoleChange } from "../../workflows/failover/prepare-role-change.ts";
import { slowestQuery } from "../../workflows/failover/slowest-query.ts";
import type { RegionSession } from "../../workflows/region-session.ts";
import { regionOptions } from "./command.ts";

export interface TargetOptions extends RegionOptions {
  readonly to?: string | undefined;
}

export interface RunOptions extends TargetOptions {
  readonly hooks?: string | undefined;
  readonly report?: string | undefined;
}

export function targetOption(command: Command): Command {
  return regionOptions(command).option(
    "--to <stack>",
    "stack of the region to promote; left out: the region of the settings file",
  );
}

export function runOptions(command: Command): Command {
  return targetOption(command)
    .option("--hooks <file>", "JSON: commands to run before and after steps (approvals, notices), limits for queries")
    .option("--report <file>", "where the page about this run is written, and its JSON beside it");
}

const alreadyActive = [11, "it is active already, or another run is promoting"] as const;
const notAsCaptured = [12, "what was restored is not what was captured; clients were not led there"] as const;
const foldersLeft = [15, "clients are served, and a folder is not restored: run it again"] as const;
const hookStopped = [14, "a hook stopped it"] as const;
const updateFailed = [20, "clients are served, and `pulumi up` failed: run it again"] as const;

export const failoverExitCodes = [
  [2, "wrong option or stack"],
  [5, "a server of the region to promote does not answer, or refuses what it is asked"],
  [10, "no complete recovery point is in its bucket"],
  alreadyActive,
  notAsCaptured,
  [13, "more writes would be lost than are accepted; nothing was changed"],
  hookStopped,
  foldersLeft,
  updateFailed,
] as const;

export const switchoverExitCodes = [
  [2, "wrong option or stack"],
  [3, "the last writes could not be brought over in time; the active region serves again"],
  [5, "a server of either region does not answer, or refuses what it is asked"],
  alreadyActive,
  notAsCaptured,
  hookStopped,
  updateFailed,
] as const;

export const planExitCodes = [
  [2, "wrong option or stack"],
  [5, "a server of the region to promote does not answer"],
  [10, "no complete recovery point is in its bucket, or no key opens it"],
  [11, "it is active already"],
] as const;

export const goesOn = "\n\nKilled at any point, it goes on when it is run again.";

export async function roleChangeOf(
  deps: Deps,
  session: RegionSession,
  { hooks, ...options }: RunOptions,
): Promise<RoleChange> {
  return {
    stack: session.region.region,
    session,
    stacks: session.origin === "settings" ? undefined : await deps.stacks(options),
    // Not by the public name, which may lead elsewhere for a while yet.
    hooks: hooks === undefined ? undefined : await deps.hooks(hooks, () => slowestQuery(session.database)),
    folderTarget: deps.folderTarget,
    onInterrupt: deps.onInterrupt,
    runner: deps.runner,
    toolVersion: deps.toolVersion,
    clock: deps.clock,
    progress: deps.progress,
  };
}
