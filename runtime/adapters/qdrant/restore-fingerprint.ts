/**
 * What a Qdrant process tells of everything that may have made its version counters another server's: its start, and the
 * snapshots it was given to restore, by a client or by another peer (`/telemetry?details_level=2`, v1.16.3). A restore is
 * counted after it took effect; until then its collection says that one is under way.
 */
import { randomUUID } from "node:crypto";
import { z } from "zod";
import { isScratchName } from "../../domain/qdrant/scratch-name.ts";

const telemetrySchema = z.object({
  app: z.object({ startup: z.string() }),
  collections: z.object({
    snapshots: z.array(z.object({ id: z.string(), running_snapshot_recovery: z.number() })),
  }),
  requests: z.object({
    rest: z.object({ responses: z.record(z.string(), z.unknown()) }),
    grpc: z.object({ responses: z.record(z.string(), z.unknown()) }),
  }),
});

const restores = /\/snapshots?\/(partial\/)?(recover|recover_from|upload)$|Snapshots\/Recover/;

/** Equal as long as nothing was restored; never equal when the process cannot tell. */
export function restoreFingerprintIn(answer: unknown): string {
  const parsed = telemetrySchema.safeParse(answer);
  if (!parsed.success) return `unknown/${randomUUID()}`;
  const { app, collections, requests } = parsed.data;
  const responses = [...Object.entries(requests.rest.responses), ...Object.entries(requests.grpc.responses)]
    .filter(([endpoint]) => restores.test(endpoint))
    .map(([, response]) => response);
  // A test restore goes into a collection of nobody.
  const isUnderWay = collections.snapshots.some(
    ({ id, running_snapshot_recovery }) => running_snapshot_recovery > 0 && !isScratchName(id),
  );
  // Accepted to go on in the background: it takes effect at any later time, without another count.
  const isPending = responses.some((response) => (response as Record<string, unknown>)["202"] !== undefined);
  if (isUnderWay || isPending) return `${app.startup}/${randomUUID()}`;
  return `${app.startup}/${responses.reduce<number>((sum, response) => sum + countsIn(response), 0)}`;
}

/** By status for REST; since v1.16 not for gRPC. */
function countsIn(response: unknown): number {
  if (typeof response !== "object" || response === null) return 0;
  if ("count" in response && typeof response.count === "number") return response.count;
  return Object.values(response).reduce<number>((sum, part) => sum + countsIn(part), 0);
}
