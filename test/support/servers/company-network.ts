/**
 * The network of a company: servers that speak TLS by certificates of its own authority, and nobody reaches them but by its proxy, which
 * asks for a user and a password. Their names are known to the proxy alone.
 */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const login = { user: "backup", password: "pass-word-of-the-proxy" };

export class CompanyNetwork {
  /** What was asked of the proxy: `CONNECT host:port`. */
  readonly asked: string[] = [];
  readonly password = login.password;
  readonly #folder: string;
  readonly #proxy: Server;
  readonly #tls: Server;

  private constructor(folder: string, proxy: Server, tls: Server) {
    this.#folder = folder;
    this.#proxy = proxy;
    this.#tls = tls;
    proxy.on("connect", (incoming: IncomingMessage, socket: Socket) => this.#connect(incoming, socket));
  }

  /** @param servers URLs of the servers without TLS, by the name that they have in this network. */
  static async start(servers: Readonly<Record<string, string>>): Promise<CompanyNetwork> {
    const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-network-"));
    makeCertificates(folder, Object.keys(servers));
    const [key, cert] = ["server.key", "server.crt"].map((file) => readFileSync(join(folder, file)));
    if (key === undefined || cert === undefined) throw new Error("there are no certificates");
    const tls = createTlsServer({ key, cert }, (incoming, outgoing) => pass(incoming, outgoing, servers));
    const proxy = createServer((_incoming, outgoing) => outgoing.writeHead(405).end());
    for (const server of [tls, proxy]) await once(server.listen(0, "127.0.0.1"), "listening");
    return new CompanyNetwork(folder, proxy, tls as unknown as Server);
  }

  /** The authority's certificate. */
  get authority(): string {
    return join(this.#folder, "authority.crt");
  }

  proxyUrl({ password }: { readonly password: string } = login): string {
    const { port } = this.#proxy.address() as AddressInfo;
    return `http://${login.user}:${password}@127.0.0.1:${port}`;
  }

  async stop(): Promise<void> {
    for (const server of [this.#proxy, this.#tls]) {
      server.close();
      server.closeAllConnections();
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #connect(incoming: IncomingMessage, socket: Socket): void {
    socket.on("error", () => undefined);
    this.asked.push(`CONNECT ${incoming.url}`);
    const expected = `Basic ${Buffer.from(`${login.user}:${login.password}`).toString("base64")}`;
    if (incoming.headers["proxy-authorization"] !== expected) {
      socket.end("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n");
      return;
    }
    const tunnel = connect((this.#tls.address() as AddressInfo).port, "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      tunnel.pipe(socket).pipe(tunnel);
    });
    tunnel.on("error", () => socket.destroy());
    socket.on("close", () => tunnel.destroy());
  }
}

function pass(incoming: IncomingMessage, outgoing: ServerResponse, servers: Readonly<Record<string, string>>): void {
  const target = servers[(incoming.headers.host ?? "").replace(/:\d+$/, "")];
  if (target === undefined) {
    outgoing.writeHead(502).end();
    return;
  }
  const { headers, method, url: path } = incoming;
  const { hostname, port } = new URL(target);
  const outbound = request({ hostname, port, method, path, headers, agent: false }, (answered) => {
    outgoing.writeHead(answered.statusCode ?? 502, answered.headers);
    answered.pipe(outgoing);
  });
  outbound.on("error", () => outgoing.destroy());
  incoming.pipe(outbound);
}

function makeCertificates(folder: string, names: readonly string[]): void {
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "ignore" });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl("req", "-x509", ...newKey, "-keyout", "authority.key", "-out", "authority.crt", "-subj", "/CN=A company");
  openssl("req", ...newKey, "-keyout", "server.key", "-out", "server.csr", "-subj", `/CN=${names[0]}`);
  writeFileSync(join(folder, "names"), `subjectAltName=${names.map((name) => `DNS:${name}`).join(",")}\n`);
  const signed = ["-CA", "authority.crt", "-CAkey", "authority.key", "-CAcreateserial", "-extfile", "names"];
  openssl("x509", "-req", "-in", "server.csr", ...signed, "-out", "server.crt", "-days", "2");
}
