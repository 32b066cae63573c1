/**
 * Requests to a Kubernetes API. Who asks and where comes from a kubeconfig, read by the official client; objects go as
 * the JSON that they are, because that client's models drop the fields that they do not know.
 */
import { once } from "node:events";
import { request as requestHttp } from "node:http";
import type { RequestOptions } from "node:https";
import { request as requestHttps } from "node:https";
import { text } from "node:stream/consumers";
import type { KubeConfig } from "@kubernetes/client-node";
import { parseExactly } from "../../domain/exact-json.ts";
import type { ClusterSettings } from "../../domain/infrastructure/infrastructure.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import { type RetryPolicy, retry } from "../../time/retry.ts";

/** A server that says nothing for this long will not say any more. */
const silenceMs = 60_000;
const longestDelayMs = 20_000;

/** A server that is busy says when it may be asked again. */
const busyPolicy: RetryPolicy = {
  attempts: 6,
  firstDelayMs: 1_000,
  factor: 1,
  isRetryable: (error) => error instanceof ServerBusy,
  askedDelayMs: (error) => (error instanceof ServerBusy ? error.delayMs : undefined),
};

export interface KubernetesAnswer {
  readonly status: number;
  readonly body: unknown;
}

interface Call {
  readonly query?: Readonly<Record<string, string>>;
  /** The configuration to apply; makes the request a server-side apply. */
  readonly apply?: Uint8Array;
}

export class KubernetesRequests {
  /** For people: which cluster this is. */
  readonly cluster: string;
  readonly #config: KubeConfig;
  readonly #server: string;
  readonly #clock: Clock;

  private constructor(config: KubeConfig, server: string, clock: Clock) {
    this.#clock = clock;
    this.#config = config;
    this.#server = server.replace(/\/+$/, "");
    this.cluster = `${config.getCurrentContext()} (${this.#server})`;
  }

  static async open({ context, kubeconfig }: Pick<ClusterSettings, "context" | "kubeconfig">, clock: Clock) {
    // Loaded when it is needed: it takes a third of a second, and most commands speak to no cluster.
    const { KubeConfig } = await import("./kubeconfig.ts");
    const config = new KubeConfig();
    try {
      if (kubeconfig === undefined) config.loadFromDefault();
      else config.loadFromFile(kubeconfig);
      if (context !== undefined) config.setCurrentContext(context);
    } catch (cause) {
      // The parser's message may repeat the text, which holds secrets.
      const reason = (cause as NodeJS.ErrnoException).code ?? "it is not a kubeconfig";
      throw new DrError("SETTING_INVALID", `${kubeconfig ?? "the kubeconfig"} cannot be read: ${reason}`, {
        hint: "check infrastructure.kubernetes.kubeconfig, or KUBECONFIG",
      });
    }
    const server = config.getCurrentCluster()?.server;
    if (server !== undefined) return new KubernetesRequests(config, server, clock);
    const known = config.getContexts().map(({ name }) => name);
    throw new DrError(
      "SETTING_INVALID",
      `infrastructure.kubernetes.context: there is no ${context ?? "current context"}`,
      {
        hint: known.length === 0 ? "the kubeconfig has no contexts" : `the kubeconfig has ${known.join(", ")}`,
      },
    );
  }

  /** Every request may be repeated: it reads, or applies what is there already. Throws UNREACHABLE or ACCESS_DENIED. */
  async send(path: string, call: Call = {}): Promise<KubernetesAnswer> {
    const answer = await retry(this.#clock, busyPolicy, () => this.#once(path, call)).catch((error: unknown) => {
      if (error instanceof ServerBusy) return error.answer;
      throw error;
    });
    if (answer.status !== 401) return answer;
    throw new DrError("ACCESS_DENIED", `${this.cluster} does not accept the credentials`, {
      hint: "renew them, or name another context",
    });
  }

  async #once(path: string, { apply, query = {} }: Call): Promise<KubernetesAnswer> {
    const options: RequestOptions = { headers: { accept: "application/json", "user-agent": "qdrant-dr" } };
    try {
      await this.#config.applyToHTTPSOptions(options);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message.slice(0, 200) : "unknown reason";
      throw new DrError("ACCESS_DENIED", `there are no credentials for ${this.cluster}: ${reason}`, {
        hint: "check the user of this context in the kubeconfig",
        cause,
      });
    }
    const url = new URL(this.#server + path);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const response = await this.#answerTo(url, options, apply);
    const answer = { status: response.status, body: response.body };
    const retryAfter = response.headers["retry-after"];
    const isBusy = answer.status === 429 || (answer.status >= 500 && retryAfter !== undefined);
    if (!isBusy) return answer;
    throw new ServerBusy(answer, retryAfter);
  }

  async #answerTo(url: URL, options: RequestOptions, apply: Uint8Array | undefined) {
    try {
      const send = url.protocol === "http:" ? requestHttp : requestHttps;
      const request = send(url, { ...options, method: apply === undefined ? "GET" : "PATCH" });
      request.setTimeout(silenceMs, () => request.destroy(new Error(`silent for ${silenceMs / 1000} s`)));
      // JSON is YAML.
      if (apply !== undefined) request.setHeader("content-type", "application/apply-patch+yaml");
      request.end(apply);
      const [response] = await once(request, "response");
      // Throws when the answer ends before it is whole.
      const said = await text(response);
      return { status: response.statusCode as number, headers: response.headers, body: bodyOf(said, response) };
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      throw new DrError("UNREACHABLE", `${this.cluster} gave no whole answer (${code ?? message})`, {
        hint: "check that the cluster is up, and the network to it; then run it again",
        cause,
      });
    }
  }
}

/** An answer that asks to come again; after the last attempt it is the answer. */
class ServerBusy extends Error {
  readonly answer: KubernetesAnswer;
  readonly delayMs: number | undefined;

  constructor(answer: KubernetesAnswer, retryAfter: string | undefined) {
    super(`busy (${answer.status})`);
    this.answer = answer;
    // A date, which HTTP allows as well, counts as nothing said.
    this.delayMs = Math.min(longestDelayMs, 1_000 * Number(retryAfter)) || undefined;
  }
}

function bodyOf(said: string, response: { readonly headers: { readonly "content-type"?: string } }): unknown {
  if (!response.headers["content-type"]?.startsWith("application/json")) return said;
  try {
    return parseExactly(said);
  } catch {
    throw new Error("its JSON is cut or damaged");
  }
}
