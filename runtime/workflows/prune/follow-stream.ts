/** Keeps a stream short, round after round: what fails is told, and tried again by the next round. */
import { formatBytes, formatCount } from "../../domain/format.ts";
import { DrError } from "../../errors.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { pause } from "../../time/pause.ts";
import { type StreamPruneReport, type StreamPruneRequest, StreamPruner } from "./prune-stream.ts";

/** Of one state every ten seconds, thirty come meanwhile. */
const everyMs = 5 * 60_000;

/** Until the signal; the report is that of the last round that ended well. */
export async function followStream(
  { open, ...request }: Omit<StreamPruneRequest, "repository"> & { open(): Promise<OpenRepository> },
  signal: AbortSignal,
): Promise<StreamPruneReport | undefined> {
  const { clock, progress } = request;
  let pruner: StreamPruner | undefined;
  let last: StreamPruneReport | undefined;
  while (!signal.aborted) {
    try {
      pruner ??= new StreamPruner({ ...request, repository: await open() });
      last = await pruner.round();
      const { deletedBytes, deletedObjects, deletedStates, states } = last;
      if (deletedStates + deletedObjects > 0) {
        const detail = `${formatCount(deletedStates)} states and ${formatCount(deletedObjects)} objects (${formatBytes(deletedBytes)}) are deleted; ${formatCount(states)} states stay`;
        progress({ step: "stream", detail });
      }
    } catch (error) {
      if (!(error instanceof DrError)) throw error;
      // Nothing was captured yet.
      if (error.code === "RECOVERY_POINT_NOT_FOUND") continue;
      progress({ step: "stream", detail: `${error.code}: ${error.message}; it is tried again` });
    } finally {
      await pause(clock, everyMs, signal);
    }
  }
  return last;
}
