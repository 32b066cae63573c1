/** A TCP proxy in front of a real server, like a slow line: what clients send passes at so many bytes a second in all. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { systemClock } from "../../../runtime/time/system-clock.ts";

const sliceMs = 50;

export class ThrottledProxy {
  readonly url: string;
  /** Bytes that clients sent and that were passed on. */
  passed = 0;
  readonly #bytesPerSecond: number;
  #waiting: { readonly bytes: number; readonly resolve: () => void } | undefined;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Until when the line is taken. */
  #freeAt = 0;

  private constructor(server: Server, target: URL, bytesPerSecond: number) {
    this.#server = server;
    this.#bytesPerSecond = bytesPerSecond;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("connection", (client: Socket) => {
      const upstream = connect(Number(target.port), target.hostname);
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on("close", () => this.#sockets.delete(socket));
        socket.on("error", () => undefined);
      }
      client.on("close", () => upstream.destroy());
      upstream.on("close", () => client.destroy());
      upstream.pipe(client);
      this.#pass(client, upstream).catch(() => client.destroy());
    });
  }

  static async start(target: string, bytesPerSecond: number): Promise<ThrottledProxy> {
    const server = createServer();
    await once(server.listen(0, "127.0.0.1"), "listening");
    return new ThrottledProxy(server, new URL(target), bytesPerSecond);
  }

  /** Returns when so many bytes have passed in all. */
  untilPassed(bytes: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting = { bytes, resolve };
    return promise;
  }

  /** All connections break off. */
  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server.close(), "close");
  }

  async #pass(client: Socket, upstream: Socket): Promise<void> {
    for await (const bytes of client as AsyncIterable<Buffer>) {
      for (let at = 0; at < bytes.length; ) {
        const slice = bytes.subarray(at, at + Math.ceil((this.#bytesPerSecond * sliceMs) / 1000));
        const now = performance.now();
        this.#freeAt = Math.max(now, this.#freeAt) + (1000 * slice.length) / this.#bytesPerSecond;
        await systemClock.sleep(this.#freeAt - now);
        upstream.write(slice);
        this.passed += slice.length;
        if (this.#waiting !== undefined && this.passed >= this.#waiting.bytes) this.#waiting.resolve();
        at += slice.length;
      }
    }
  }
}
