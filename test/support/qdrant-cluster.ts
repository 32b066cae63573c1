/** A real Qdrant cluster for a test: several servers in cluster mode that know each other. */
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { QdrantServer } from "./qdrant-server.ts";

const longestJoinMs = 30_000;
const stateSchema = z.object({
  result: z.object({ peer_id: z.number(), peers: z.record(z.string(), z.unknown()) }),
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
      const peers: number[] = [];
      for (const server of servers) peers.push(await joined(server, size));
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

  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
  }
}

/** The server's id, once it knows all peers. */
async function joined(server: QdrantServer, size: number): Promise<number> {
  const deadline = performance.now() + longestJoinMs;
  for (;;) {
    const answer = await fetch(`${server.url}/cluster`, { headers: { "api-key": server.apiKey } });
    const { peer_id, peers } = stateSchema.parse(await answer.json()).result;
    if (Object.keys(peers).length === size) return peer_id;
    if (performance.now() > deadline) throw new Error(`${server.url} knows ${Object.keys(peers).length} peers`);
    await sleep(50);
  }
}
