/** Stands before a real Kubernetes API under the same certificate, and changes answers as a test says. */
import { once } from "node:events";
import { createServer, request } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import type { KubernetesServer } from "./kubernetes-server.ts";

export interface ProxiedAnswer {
  readonly status: number;
  readonly body: string;
  /** Bytes of the body after which the connection ends, though more were promised. */
  readonly cutAt?: number;
}

/** Called for every answer, with the path and query that were asked for. */
type Change = (url: string, answer: ProxiedAnswer) => ProxiedAnswer;

export interface KubernetesProxy {
  /** The admin's, through the proxy. */
  readonly kubeconfig: string;
  change: Change;
  stop(): Promise<void>;
}

export const asItIs: Change = (_url, answer) => answer;

export async function kubernetesProxy(server: KubernetesServer): Promise<KubernetesProxy> {
  const { certificate, key } = server;
  const front = createServer({ key, cert: certificate }, async (asked, response) => {
    const { headers, method = "GET", url = "/" } = asked;
    const sent = request(`${server.url}${url}`, { method, headers, ca: certificate });
    sent.end(await buffer(asked));
    const [answer] = await once(sent, "response");
    const { body, cutAt, status } = proxy.change(url, {
      status: answer.statusCode,
      body: String(await buffer(answer)),
    });
    response.writeHead(status, {
      "content-type": answer.headers["content-type"] ?? "text/plain",
      "content-length": Buffer.byteLength(body),
    });
    if (cutAt === undefined) response.end(body);
    else response.write(body.slice(0, cutAt), () => response.destroy());
  });
  await once(front.listen(0, "127.0.0.1"), "listening");
  const { port } = front.address() as AddressInfo;
  const proxy: KubernetesProxy = {
    kubeconfig: server.writeKubeconfig(join(server.folder, "proxy.kubeconfig"), {
      server: `https://127.0.0.1:${port}`,
      user: "admin",
    }),
    change: asItIs,
    async stop() {
      front.closeAllConnections();
      await once(front.close(), "close");
    },
  };
  return proxy;
}
