/**
 * The public endpoint of the practice estate: the one address that clients use, and which follows the active region. It
 * stands for what a DNS name with a prepared control is in the cloud. Every upstream is known beforehand; switching is a
 * name and an epoch, and an older epoch never takes the traffic back.
 */
import { renameSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { z } from "zod";
import { answerRest, refuseRest } from "../../runtime/adapters/gate/answers.ts";
import { RestUpstream } from "../../runtime/adapters/gate/forward-rest.ts";
import { hasKey, hasToken } from "../../runtime/adapters/gate/headers.ts";
import { headerKeySchema } from "../../runtime/domain/header-key.ts";
import { serverUrlSchema } from "../../runtime/domain/server-address.ts";

const controlPath = "/.qdrant-dr/route";
const healthPath = "/.qdrant-dr/health";

const settingsSchema = z.object({
  QDRANT_DR_ENDPOINT_PORT: z.coerce.number().int().min(1).max(65_535),
  QDRANT_DR_ENDPOINT_CLIENT_KEY: headerKeySchema.min(16),
  QDRANT_DR_ENDPOINT_CONTROL_TOKEN: headerKeySchema.min(16),
  /** JSON: what each region's Qdrant is reached by. */
  QDRANT_DR_ENDPOINT_UPSTREAMS: z
    .string()
    .transform((text): unknown => JSON.parse(text))
    .pipe(z.record(z.string(), z.object({ url: serverUrlSchema, apiKey: headerKeySchema }))),
  /** The route outlives a restart here. */
  QDRANT_DR_ENDPOINT_STATE: z.string(),
});

const routeSchema = z.object({ region: z.string(), epoch: z.number().int().positive() });
type Route = z.infer<typeof routeSchema>;

const settings = settingsSchema.parse(process.env);
const upstreams = new Map(
  Object.entries(settings.QDRANT_DR_ENDPOINT_UPSTREAMS).map(([region, { apiKey, url }]) => [
    region,
    { apiKey, server: new RestUpstream(url) },
  ]),
);
let route = await readRoute();

const server = createServer((incoming, outgoing) => {
  const path = incoming.url ?? "/";
  if (path === healthPath) answerRest(outgoing, 200, { route: route ?? null });
  else if (path === controlPath) void control(incoming, outgoing);
  else lead(incoming, outgoing);
});
server.listen(settings.QDRANT_DR_ENDPOINT_PORT, "127.0.0.1");
process.once("SIGTERM", () => {
  server.close();
  server.closeAllConnections();
  for (const { server: upstream } of upstreams.values()) upstream.close();
});

async function control(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  if (!hasToken(incoming.headers, settings.QDRANT_DR_ENDPOINT_CONTROL_TOKEN))
    return answerRest(outgoing, 401, { error: "not allowed" });
  if (incoming.method === "GET") return answerRest(outgoing, 200, { route: route ?? null });
  if (incoming.method !== "PUT") return answerRest(outgoing, 405, { error: "GET or PUT" });
  try {
    let text = "";
    for await (const piece of incoming) text += String(piece);
    const wanted = routeSchema.safeParse(parsed(text));
    if (!wanted.success || !upstreams.has(wanted.data.region)) {
      return answerRest(outgoing, 400, {
        error: `a region of ${[...upstreams.keys()].join(", ")} and an epoch are wanted`,
      });
    }
    const isOlder = route !== undefined && wanted.data.epoch < route.epoch;
    const isRival = wanted.data.epoch === route?.epoch && wanted.data.region !== route.region;
    if (isOlder || isRival) return answerRest(outgoing, 409, { error: "a newer epoch has the traffic", route });
    writeRoute(wanted.data);
    route = wanted.data;
    answerRest(outgoing, 200, { route });
  } catch (error) {
    answerRest(outgoing, 500, { error: error instanceof Error ? error.message : String(error) });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // No JSON is no route: the schema refuses it.
    return undefined;
  }
}

function lead(incoming: IncomingMessage, outgoing: ServerResponse): void {
  if (!hasKey(incoming.headers, settings.QDRANT_DR_ENDPOINT_CLIENT_KEY)) {
    refuseRest(outgoing, 401, "the endpoint does not know this API key");
    return;
  }
  const upstream = route && upstreams.get(route.region);
  if (upstream === undefined) refuseRest(outgoing, 503, "no region is active yet");
  else upstream.server.forward(incoming, outgoing, { apiKey: upstream.apiKey, name: "the active region" });
}

async function readRoute(): Promise<Route | undefined> {
  try {
    return routeSchema.parse(JSON.parse(await readFile(settings.QDRANT_DR_ENDPOINT_STATE, "utf8")));
  } catch (error) {
    if (error instanceof Error && (error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Synchronous: between the comparison of epochs and the new route nothing else may happen. */
function writeRoute(wanted: Route): void {
  const beside = `${settings.QDRANT_DR_ENDPOINT_STATE}.new`;
  writeFileSync(beside, JSON.stringify(wanted), { mode: 0o600, flush: true });
  renameSync(beside, settings.QDRANT_DR_ENDPOINT_STATE);
}
