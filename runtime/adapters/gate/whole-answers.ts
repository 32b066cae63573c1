/** Asks a Qdrant for whole answers, and tells apart what has not reached it from what may have been done. */
import { type Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import { request as tlsRequest } from "node:https";
import { addressOf, type ServerAddress } from "../../domain/server-address.ts";
import type { GatedOutcome, GatedQdrant, GatedRequest } from "../../ports/gated-qdrant.ts";
import { endToEndHeaders, headersWithKey } from "./headers.ts";
import { agentOf, beginRequest, hasSent } from "./held-socket.ts";

export class WholeAnswers implements GatedQdrant {
  readonly #address: ServerAddress;
  readonly #agent: Agent;
  readonly #apiKey: () => string;

  /** @param apiKey Qdrant's own, asked for each time: it may change. */
  constructor(url: string, apiKey: () => string) {
    this.#address = addressOf(url);
    this.#agent = agentOf(this.#address);
    this.#apiKey = apiKey;
  }

  close(): void {
    this.#agent.destroy();
  }

  async ask(asked: GatedRequest): Promise<GatedOutcome> {
    const outcome = await this.#send(asked, this.#agent);
    // A kept connection had been closed by the other side: of the request nothing has left.
    return outcome.kind === "not sent" && outcome.isKept ? this.#send(asked, agentOf(this.#address)) : outcome;
  }

  #send(asked: GatedRequest, agent: Agent): Promise<GatedOutcome & { readonly isKept?: boolean }> {
    const { body, headers, keepsKey, method, url } = asked;
    const { promise, resolve } = Promise.withResolvers<GatedOutcome & { readonly isKept?: boolean }>();
    const passed = headersWithKey(headers ?? {}, keepsKey === true ? undefined : this.#apiKey());
    if (headers === undefined) passed["content-type"] = "application/json";
    passed["content-length"] = body?.length ?? 0;
    passed["accept-encoding"] = "identity";
    const outbound = (this.#address.isTls ? tlsRequest : request)({
      host: this.#address.host.replace(/^\[|\]$/g, ""),
      port: this.#address.port,
      method,
      // As it came, never resolved: a path may look like an address, and the key goes to the region alone.
      path: `${this.#address.prefix}${url}`,
      headers: passed,
      agent,
    });
    outbound.once("socket", beginRequest);
    outbound.once("response", (answered) => void gather(answered).then(resolve));
    outbound.once("error", (error: NodeJS.ErrnoException) => resolve(failureOf(outbound, error)));
    outbound.end(body);
    return promise;
  }
}

async function gather(answered: IncomingMessage): Promise<GatedOutcome> {
  const pieces: Buffer[] = [];
  try {
    for await (const piece of answered) pieces.push(piece as Buffer);
  } catch (error) {
    return { kind: "no answer", reason: `its Qdrant cut the answer (${reasonOf(error)})` };
  }
  const headers = endToEndHeaders(answered.headers);
  return { kind: "answered", status: answered.statusCode ?? 502, headers, body: Buffer.concat(pieces) };
}

function failureOf(outbound: ClientRequest, error: NodeJS.ErrnoException) {
  const { socket } = outbound;
  if (socket !== null && hasSent(socket)) {
    const reason = `its Qdrant ended the connection before it answered (${reasonOf(error)}); what was asked may have been done`;
    return { kind: "no answer", reason } as const;
  }
  return {
    kind: "not sent",
    reason: `its Qdrant does not answer (${reasonOf(error)})`,
    isKept: outbound.reusedSocket,
  } as const;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : String(error);
}
