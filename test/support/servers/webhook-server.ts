/** A real receiver of webhooks and heartbeats; it keeps what it was sent, by path. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

export interface ReceivedCall {
  readonly method: string;
  readonly path: string;
  readonly body: string;
}

export class WebhookServer {
  readonly calls: ReceivedCall[] = [];
  readonly url: string;
  /** What it answers with from now on. */
  status = 200;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(): Promise<WebhookServer> {
    const server = createServer();
    await once(server.listen(0, "127.0.0.1"), "listening");
    const started = new WebhookServer(server);
    server.on("request", (incoming, outgoing) => {
      void text(incoming).then((body) => {
        outgoing.writeHead(started.status, { location: "http://127.0.0.1:1/elsewhere" }).end();
        if (started.status === 200)
          started.calls.push({ method: incoming.method ?? "", path: incoming.url ?? "", body });
      });
    });
    return started;
  }

  of(path: string): ReceivedCall[] {
    return this.calls.filter((call) => call.path === path);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}
