/**
 * The proxies that the environment names (HTTPS_PROXY, HTTP_PROXY, NO_PROXY, in either case, as every HTTP tool reads them), for all
 * requests that this process makes. What is on this machine is never asked by a proxy.
 */
import http, { Agent } from "node:http";
import { Agent as TlsAgent } from "node:https";
import { DrError } from "../errors.ts";

type Environment = Readonly<Record<string, string | undefined>>;
type ProxyEnvironment = NonNullable<http.AgentOptions["proxyEnv"]>;

const thisMachine = "localhost,127.0.0.1,[::1],::1";

/**
 * Undefined where no proxy is named.
 * @throws SETTING_INVALID, which does not show the URL: it may hold a password.
 */
function proxiesIn(env: Environment): ProxyEnvironment | undefined {
  const named = (name: string) => {
    const value = env[name.toLowerCase()] ?? env[name];
    return value === undefined || value.trim() === "" ? undefined : { name, value: value.trim() };
  };
  const proxies = [named("HTTP_PROXY"), named("HTTPS_PROXY")].filter((proxy) => proxy !== undefined);
  if (proxies.length === 0) return undefined;
  for (const { name, value } of proxies) {
    if (/^https?:\/\/[^\s]+$/i.test(value) && URL.canParse(value)) continue;
    throw new DrError("SETTING_INVALID", `${name} is not the URL of a proxy`, {
      hint: "write it like http://proxy.example:3128, with user and password in it where the proxy asks for them; proxies of other kinds (socks) are not supported",
    });
  }
  const without = named("NO_PROXY")?.value;
  return {
    ...Object.fromEntries(proxies.map(({ name, value }) => [name, value])),
    NO_PROXY: without === undefined ? thisMachine : `${without},${thisMachine}`,
  };
}

/** For requests that take an agent. Without a proxy they are those that Node uses by itself, with these options. */
export function agentsFor(options: { readonly keepAlive: boolean; readonly maxSockets?: number }): {
  readonly httpAgent: Agent;
  readonly httpsAgent: TlsAgent;
} {
  const proxyEnv = proxiesIn(process.env);
  const all = proxyEnv === undefined ? options : { ...options, proxyEnv };
  return { httpAgent: new Agent(all), httpsAgent: new TlsAgent(all) };
}

/** Lets `fetch` use them, too. To be called once, when the process starts. */
export function useProxies(): void {
  const proxyEnv = proxiesIn(process.env);
  if (proxyEnv === undefined) return;
  // Node before 24.14: it has to be started with NODE_USE_ENV_PROXY=1.
  if (typeof http.setGlobalProxyFromEnv === "function") http.setGlobalProxyFromEnv(proxyEnv);
  // Qdrant's client library brings connections of its own along, which know no proxy.
  const plain = globalThis.fetch;
  globalThis.fetch = (input, init) => {
    if (init === undefined || !("dispatcher" in init)) return plain(input, init);
    const { dispatcher: _own, ...others } = init;
    return plain(input, others);
  };
}
