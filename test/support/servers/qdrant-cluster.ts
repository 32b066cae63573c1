/** A real Qdrant cluster for a test: several servers in cluster mode that know each other. */

import { z } from "zod";
import { systemClock } from "../../../runtime/time/system-clock.ts";
import { waitUntil } from "../../../runtime/time/wait-until.ts";
import { QdrantServer } from "./qdrant-server.ts";

const longestJoinMs = 30_000;
const stateSchema = z.object({
  result: z.object({
    peer_id: z.number(),
    peers: z.record(z.string(), z.unknown()),
    raft_info: z.object({ leader: z.number().nullish(), commit: z.number(), pending_operations: z.number() }),
  }),
});

export class QdrantCluster {
  readonly apiKey: string;
  readonly servers: readonly QdrantServer[];
  /** Ids of the peers, in the order of the servers. */
  readonly peers: readonly number[];

  private constructor(servers: readonly [QdrantServer, ...QdrantServer[]], peers: readonly number[]) {
    this.servers = servers;
    this.peers = peers;
    this.apiKey = servers[0].apiKey;
  }

  static async start(size: number): Promise<QdrantCluster> {
    const first = await QdrantServer.start("first");
    const servers: [QdrantServer, ...QdrantServer[]] = [first];
    try {
      while (servers.length < size) servers.push(await QdrantServer.start(first));
      const peers = await settled(servers);
      return new QdrantCluster(servers, peers);
    } catch (error) {
      await Promise.all(servers.map((server) => server.stop()));
      throw error;
    }
  }

  get urls(): string[] {
    return this.servers.map(({ url }) => url);
  }

  /** The server that is this peer. */
  server(peer: number): QdrantServer {
    const server = this.servers[this.peers.indexOf(peer)];
    if (server === undefined) throw new Error(`there is no peer ${peer}`);
    return server;
  }

  /** The peer that leads: what only goes by its log stands still for seconds, or is lost, while it does not answer. */
  async leader(): Promise<number> {
    const [first] = this.servers;
    const leader = first && (await stateOf(first)).raft_info.leader;
    if (typeof leader !== "number") throw new Error("no peer leads the cluster");
    return leader;
  }

  /** Starts a killed server again; returns when the cluster is one again. */
  async restart(server: QdrantServer): Promise<void> {
    await server.restart();
    await settled(this.servers);
  }

  async resume(server: QdrantServer): Promise<void> {
    server.resume();
    await settled(this.servers);
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
  }
}

/** The servers' ids, once all know all, follow the same leader and are at the same entry of its log. */
async function settled(servers: readonly QdrantServer[]): Promise<number[]> {
  let marks: readonly string[] = [];
  const expired = () => new Error(`the cluster did not settle: ${marks.join(" ")}`);
  return waitUntil(systemClock, { what: "the cluster", withinMs: longestJoinMs, everyMs: 50, expired }, async () => {
    const states = await Promise.all(servers.map(stateOf));
    marks = states.map(({ peers, raft_info: { commit, leader, pending_operations } }) =>
      JSON.stringify([Object.keys(peers).length, leader, commit, pending_operations]),
    );
    const [{ raft_info, peers } = { raft_info: undefined, peers: {} }] = states;
    const isWhole = Object.keys(peers).length === servers.length && typeof raft_info?.leader === "number";
    const isSettled = isWhole && new Set(marks).size === 1 && raft_info.pending_operations === 0;
    return isSettled && states.map(({ peer_id }) => peer_id);
  });
}

async function stateOf({ apiKey, url }: QdrantServer): Promise<z.infer<typeof stateSchema>["result"]> {
  const answer = await fetch(`${url}/cluster`, { headers: { "api-key": apiKey } });
  return stateSchema.parse(await answer.json()).result;
}
