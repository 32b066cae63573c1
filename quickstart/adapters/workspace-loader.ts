/** `WorkspaceLoader` over Qdrant's REST API, by one URL: the public endpoint. */

import type { QdrantClient } from "@qdrant/js-client-rest";
import { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import { clientOf } from "../../runtime/adapters/qdrant/qdrant-peers.ts";
import { addressOf } from "../../runtime/domain/server-address.ts";
import { DrError } from "../../runtime/errors.ts";
import type { Alias, CollectionDescription } from "../../runtime/ports/qdrant.ts";
import type { WorkspaceLoader, WorkspacePoint } from "../workflow/load-workspace.ts";

const requestTimeoutMs = 60_000;

export class QdrantWorkspaceLoader implements WorkspaceLoader {
  readonly #url: string;
  readonly #qdrant: Qdrant;
  readonly #client: QdrantClient;

  constructor({ url, apiKey }: { readonly url: string; readonly apiKey: string }) {
    this.#url = url;
    this.#qdrant = new Qdrant({ peers: [url], apiKey });
    this.#client = clientOf(addressOf(url), apiKey, requestTimeoutMs);
  }

  createCollection(collection: CollectionDescription): Promise<void> {
    return this.#qdrant.createCollection(collection);
  }

  createPayloadIndex(collection: string, field: string, definition: unknown): Promise<void> {
    return this.#qdrant.createPayloadIndex(collection, field, definition);
  }

  createAlias(alias: Alias): Promise<void> {
    return this.#qdrant.createAlias(alias);
  }

  /** What a client may ask: the shards of a collection are for administrators. */
  async health(collection: string): Promise<string> {
    try {
      return (await this.#client.getCollection(collection)).status;
    } catch (error) {
      throw this.#translate(error, `the look at ${collection}`);
    }
  }

  async upsert(collection: string, points: readonly WorkspacePoint[], isLast: boolean): Promise<void> {
    const body = points.map(({ id, vector, payload }) => ({ id, vector: [...vector], payload: { ...payload } }));
    try {
      await this.#client.upsert(collection, { points: body, wait: isLast });
    } catch (error) {
      throw this.#translate(error, `points for ${collection}`);
    }
  }

  #translate(error: unknown, asked: string): unknown {
    if (!(error instanceof Error)) return error;
    const { status, data } = error as { status?: number; data?: unknown };
    const what = `${asked} at ${this.#url}`;
    if (status === undefined) {
      return new DrError("UNREACHABLE", `Qdrant does not answer to ${what} (${error.message})`, {
        hint: "check that it runs and can be reached from here",
        cause: error,
      });
    }
    const code = status === 401 || status === 403 ? "ACCESS_DENIED" : "QDRANT_REFUSED";
    const reason = JSON.stringify(data ?? error.message).slice(0, 300);
    return new DrError(code, `Qdrant answered ${status} to ${what}: ${reason}`, { cause: error });
  }
}
