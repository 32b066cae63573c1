/**
 * `VectorDatabase` over Qdrant's REST API. What is about a shard is asked of the peer that holds it; all else of the first
 * peer that answers. What changes something is sent once, to a peer that has just answered.
 */
import { createHash } from "node:crypto";
import { request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { QdrantClient, QdrantClientResourceExhaustedError } from "@qdrant/js-client-rest";
import { z } from "zod";
import { newestVersion } from "../../domain/points/version-rule.ts";
import { type SegmentManifest, segmentManifestSchema } from "../../domain/qdrant/segment-manifest.ts";
import { DrError, hasCode } from "../../errors.ts";
import type {
  Alias,
  CollectionDescription,
  CollectionSnapshot,
  NearestQuery,
  Neighbour,
  Optimizations,
  PointId,
  ShardKeyRequest,
  ShardPlacement,
  StoredPoint,
  VectorDatabase,
} from "../../ports.ts";
import { activeReplicas, type ClusterView, clusterViewSchema, movementsIn, unrestIn } from "./qdrant-cluster.ts";
import { historyIn } from "./qdrant-history.ts";
import { SharedAnswer } from "./shared-answer.ts";
import { notStrict, type StrictMode, strictModeIn } from "./strict-mode.ts";

/** A stream that brings nothing for so long is given up. */
const captureIdleMs = 60_000;
/**
 * How long the answer to a capture may take to begin, each time that it is asked for. Qdrant before 1.17 takes one lock
 * twice there (`stream_shard_snapshot`, src/common/snapshots.rs, v1.16.3): where a collection is made or dropped in between,
 * each waits for the other, and with them every request. A connection that is reset ends the wait; one that is closed
 * does not.
 */
const captureBeginsWithinMs = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000];
/**
 * How long a search may take, each time that it is asked. A snapshot of a shard that ends waits, with the shard locked, for
 * searches that began before, and these wait for the thread that answers them, which a later search blocks until it gives
 * up (`LockedSegment::drop_data`, lib/shard/src/locked_segment.rs; `SegmentsSearcher::search`, v1.16.3 to v1.19.0). So it is
 * one request for all, that gives up soon, and asks again.
 */
const searchWithinMs = [5_000, 20_000, 120_000];
/** After the last byte of an archive, Qdrant is silent while it unpacks and loads it. */
const restoreIdleMs = 30 * 60_000;
const requestTimeoutMs = 120_000;
/** What a peer says of itself needs no work: where there are others, one that takes longer counts as down. */
const signTimeoutMs = 10_000;
const idsPerPage = 5_000;
/** Where a rate limit is reached, Qdrant says how long to wait: a minute at most. */
const longestWaitSeconds = 60;
const mostWaits = 5;

const collectionsSchema = z.object({ collections: z.array(z.object({ name: z.string() })) });

const telemetrySchema = z.object({
  collections: z.object({
    collections: z.array(
      z.object({
        id: z.string(),
        shards: z
          .array(
            z.object({
              id: z.number(),
              local: z
                .object({
                  optimizations: z.object({
                    log: z.array(z.object({ name: z.string(), start_at: z.string(), status: z.string() })).optional(),
                  }),
                })
                .nullish(),
            }),
          )
          .nullish(),
      }),
    ),
  }),
});

const machineSchema = z.object({
  app: z.object({ system: z.object({ ram_size: z.number(), disk_size: z.number() }) }),
});

const snapshotSchema = z.object({ name: z.string(), checksum: z.string().nullish() });
const snapshotsPath = (collection: string) => `/collections/${encodeURIComponent(collection)}/snapshots`;

export interface QdrantAddress {
  readonly peers: readonly string[];
  readonly apiKey: string;
  /** So long an answer is waited for, where the question takes no work; else as long as it may take. */
  readonly patienceMs?: number;
}

/** So long a peer that hung is not asked what the others are asked. */
const hungForMs = 60_000;

interface Peer {
  readonly url: string;
  readonly client: QdrantClient;
  /** Moment until which it counts as down without being asked: waiting for it again would slow every step. */
  hungUntil: number;
}

export class Qdrant implements VectorDatabase {
  readonly #address: QdrantAddress;
  readonly #telemetry = new Map<string, SharedAnswer<z.infer<typeof telemetrySchema>>>();
  readonly #peers: readonly [Peer, ...Peer[]];
  /** The one that answered last is asked first: a dead host costs its time-out once. */
  #preferred = 0;

  constructor(address: QdrantAddress) {
    this.#address = address;
    const [first, ...others] = address.peers.map((url) => ({
      url,
      hungUntil: 0,
      client: new QdrantClient({
        url,
        // Not as `apiKey`: the client would print a warning for every address without TLS.
        headers: { "api-key": address.apiKey },
        timeout: address.patienceMs ?? requestTimeoutMs,
        checkCompatibility: false,
      }),
    }));
    if (first === undefined) throw new Error("a region has at least one peer");
    this.#peers = [first, ...others];
  }

  async version(): Promise<string> {
    const versions = await this.#askEvery(async ({ url }) => {
      return z.object({ version: z.string() }).parse(await this.#getJson(url, "/")).version;
    });
    return newestVersion(versions.answers);
  }

  async processes(): Promise<string[]> {
    const { answers } = await this.#askEvery(async ({ url }) => {
      return z.object({ id: z.string() }).parse(await this.#getResult(url, "/telemetry?details_level=0")).id;
    });
    return [...new Set(answers)];
  }

  async machine(): Promise<{ memoryBytes: number; diskBytes: number }> {
    const { answers } = await this.#askEvery(async ({ url }) => {
      return machineSchema.parse(await this.#getResult(url, "/telemetry?details_level=1")).app.system;
    });
    // Told in units of 1024 bytes.
    const sumOf = (field: "ram_size" | "disk_size") => answers.reduce((sum, system) => sum + system[field] * 1024, 0);
    return { memoryBytes: sumOf("ram_size"), diskBytes: sumOf("disk_size") };
  }

  async isClustered(): Promise<boolean> {
    const cluster = await this.#ask(({ url }) => this.#getResult(url, "/cluster"));
    return z.object({ status: z.string() }).parse(cluster).status === "enabled";
  }

  /** All that any peer knows: one that has just been started again may lag behind. */
  async collections(): Promise<string[]> {
    const { answers } = await this.#askEvery(async ({ url }) => {
      return collectionsSchema.parse(await this.#getResult(url, "/collections")).collections;
    });
    return [...new Set(answers.flatMap((collections) => collections.map(({ name }) => name)))].sort();
  }

  async describe(collection: string): Promise<CollectionDescription> {
    const { config, payload_schema } = await this.#ask(({ client }) => client.getCollection(collection));
    const payloadIndexes = Object.fromEntries(
      Object.entries(payload_schema).flatMap(([field, index]) =>
        index === undefined ? [] : [[field, index.params ?? index.data_type]],
      ),
    );
    return { name: collection, config: { ...config }, payloadIndexes };
  }

  async aliases(): Promise<Alias[]> {
    const { aliases } = await this.#ask(({ client }) => client.getAliases());
    return aliases.map(({ alias_name, collection_name }) => ({ alias: alias_name, collection: collection_name }));
  }

  async shards(collection: string): Promise<ShardPlacement[]> {
    const { views, silent } = await this.#views(collection);
    const { active, lacking } = activeReplicas(views);
    if (lacking.length === 0) return active;
    const without = silent.length === 0 ? "" : `; no answer from ${silent.join(", ")}`;
    throw new DrError(
      silent.length === 0 ? "QDRANT_REFUSED" : "UNREACHABLE",
      `${collection}: no Active replica of shard ${lacking.join(", ")} can be asked${without}`,
      { hint: "list every peer in the region's `qdrant.peers`, and wait until all run and transfers are over" },
    );
  }

  async movements(collection: string): Promise<string[]> {
    return movementsIn((await this.#views(collection)).views);
  }

  async count(collection: string): Promise<number> {
    const { count } = await this.#askWithin(collection, ({ client }, { allowsExact }) =>
      client.count(collection, { exact: allowsExact }),
    );
    return count;
  }

  async *ids(collection: string): AsyncGenerator<PointId> {
    let limit = idsPerPage;
    for (let offset: PointId | undefined, isFirst = true; isFirst || offset !== undefined; isFirst = false) {
      const page = await this.#askWithin(collection, ({ client }, { maxLimit }) => {
        limit = Math.min(limit, maxLimit);
        const from = offset === undefined ? {} : { offset };
        return client.scroll(collection, { ...from, limit, with_payload: false, with_vector: false });
      });
      for (const { id } of page.points) yield id;
      offset = (page.next_page_offset ?? undefined) as PointId | undefined;
    }
  }

  async points(collection: string, ids: readonly PointId[]): Promise<StoredPoint[]> {
    if (ids.length === 0) return [];
    const found = await this.#ask(({ client }) =>
      client.retrieve(collection, { ids: [...ids], with_payload: true, with_vector: true }),
    );
    return found.map(({ id, payload, vector }) => ({ id, payload: payload ?? {}, vector: vector ?? {} }));
  }

  async sample(collection: string, count: number): Promise<StoredPoint[]> {
    const { points } = await this.#askWithin(collection, ({ client }, { maxLimit }) =>
      client.query(collection, {
        ...{ query: { sample: "random" }, limit: Math.min(count, maxLimit) },
        ...{ with_payload: true, with_vector: true },
      }),
    );
    return points.map(({ id, payload, vector }) => ({ id, payload: payload ?? {}, vector: vector ?? {} }));
  }

  async nearest(collection: string, queries: readonly NearestQuery[]): Promise<Neighbour[][] | undefined> {
    if (queries.length === 0) return [];
    const answers = await this.#insist(searchWithinMs, (answerWithinMs) =>
      this.#askWithin(collection, async ({ client }, { allowsExact, maxLimit, maxTimeoutSeconds }) => {
        if (!allowsExact && queries.some(({ isApproximate }) => isApproximate !== true)) return undefined;
        const searches = queries.map(({ isApproximate, limit, using, vector }) => ({
          ...{ query: vector as number[], limit: Math.min(limit, maxLimit) },
          ...{ params: { exact: isApproximate !== true } },
          ...(using === undefined ? {} : { using }),
        }));
        return client.queryBatch(collection, { searches, timeout: Math.min(answerWithinMs / 1000, maxTimeoutSeconds) });
      }),
    );
    if (answers !== undefined && answers.length !== queries.length)
      throw refused(200, `${answers.length} answers to ${queries.length} queries`, `searches in ${collection}`);
    return answers?.map(({ points }) => points.map(({ id, score }) => ({ id, score })));
  }

  async optimizations(
    collection: string,
    shard: ShardPlacement,
    { ageMs }: { readonly ageMs?: number } = {},
  ): Promise<Optimizations | undefined> {
    const shared = this.#telemetryOf(shard.peerUrl);
    const telemetry = await (ageMs === undefined ? shared.fresh() : shared.recent(ageMs));
    const log = telemetry.collections.collections
      .find(({ id }) => id === collection)
      ?.shards?.find(({ id }) => id === shard.id)?.local?.optimizations.log;
    if (log === undefined) return undefined;
    const marksOf = (entries: typeof log) => entries.map(({ name, start_at }) => `${name}@${start_at}`);
    const underWay = marksOf(log.filter(({ status }) => status === "optimizing"));
    return { running: underWay.length, begun: marksOf(log), underWay };
  }

  async history(shard: ShardPlacement): Promise<string> {
    return historyIn(await this.#getResult(shard.peerUrl, "/telemetry?details_level=2", requestTimeoutMs));
  }

  async captureShard(
    collection: string,
    shard: ShardPlacement,
    base: SegmentManifest,
    signal?: AbortSignal,
  ): Promise<Readable | undefined> {
    const path = `/collections/${encodeURIComponent(collection)}/shards/${shard.id}/snapshot/partial/create`;
    const answer = await this.#insist(captureBeginsWithinMs, (answerWithinMs) =>
      this.#stream(shard.peerUrl, path, {
        body: Readable.from([JSON.stringify(base)]),
        idleMs: captureIdleMs,
        answerWithinMs,
        signal,
      }),
    );
    if (answer.statusCode === 304) {
      answer.resume();
      return undefined;
    }
    const what = `capture of ${collection} shard ${shard.id}`;
    await refuseUnlessOk(answer, what);
    return endingWith(answer, unbroken(answer, what));
  }

  async segments(collection: string, shard: ShardPlacement): Promise<SegmentManifest | undefined> {
    const path = `/collections/${encodeURIComponent(collection)}/shards/${shard.id}/snapshot/partial/manifest`;
    try {
      return segmentManifestSchema.parse(await this.#getResult(shard.peerUrl, path, requestTimeoutMs));
    } catch (error) {
      // Of a shard that a kill left half-made Qdrant says so with 500.
      if (hasCode(error, "QDRANT_REFUSED")) return undefined;
      throw error;
    }
  }

  async snapshots(collection: string, shard: ShardPlacement): Promise<string[]> {
    const list = await this.#getResult(shard.peerUrl, snapshotsPath(collection));
    return z
      .array(snapshotSchema)
      .parse(list)
      .map(({ name }) => name);
  }

  async createSnapshot(collection: string, shard: ShardPlacement): Promise<CollectionSnapshot> {
    const path = `${snapshotsPath(collection)}?wait=true`;
    // Silent until the last segment is written.
    const answer = await this.#stream(shard.peerUrl, path, { idleMs: restoreIdleMs });
    await refuseUnlessOk(answer, `a snapshot of ${collection}`);
    const { checksum, name } = z
      .object({ result: snapshotSchema })
      .parse(JSON.parse(await this.#call(() => text(answer)))).result;
    return { name, ...(typeof checksum === "string" ? { sha256: checksum } : {}) };
  }

  async readSnapshot(
    collection: string,
    shard: ShardPlacement,
    { name, sha256 }: CollectionSnapshot,
  ): Promise<Readable> {
    const path = `${snapshotsPath(collection)}/${encodeURIComponent(name)}`;
    const answer = await this.#stream(shard.peerUrl, path, { method: "GET", idleMs: captureIdleMs });
    const what = `download of the snapshot ${name}`;
    await refuseUnlessOk(answer, what);
    return endingWith(answer, hashedAs(sha256, unbroken(answer, what), what));
  }

  async deleteSnapshot(collection: string, shard: ShardPlacement, name: string): Promise<void> {
    const path = `${snapshotsPath(collection)}/${encodeURIComponent(name)}?wait=true`;
    const answer = await this.#stream(shard.peerUrl, path, { method: "DELETE", idleMs: requestTimeoutMs });
    if (answer.statusCode !== 404) await refuseUnlessOk(answer, `deletion of the snapshot ${name}`);
    answer.resume();
  }

  async createCollection(collection: CollectionDescription): Promise<void> {
    const { params, hnsw_config, optimizer_config, wal_config, quantization_config, strict_mode_config, metadata } =
      collection.config as Record<string, object | undefined>;
    const optional = { quantization_config, strict_mode_config, metadata };
    await this.#change((client) =>
      client.createCollection(collection.name, {
        ...params,
        hnsw_config,
        optimizers_config: optimizer_config,
        wal_config,
        ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined && value !== null)),
      } as Parameters<QdrantClient["createCollection"]>[1]),
    );
  }

  async createPayloadIndex(collection: string, field: string, definition: unknown): Promise<void> {
    await this.#change((client) =>
      client.createPayloadIndex(collection, {
        field_name: field,
        field_schema: definition as "keyword",
        wait: true,
      }),
    );
  }

  async createShardKey(collection: string, { key, replicationFactor, shards }: ShardKeyRequest): Promise<void> {
    await this.#change((client) =>
      client.createShardKey(collection, {
        shard_key: key,
        shards_number: shards,
        ...(replicationFactor === undefined ? {} : { replication_factor: replicationFactor }),
      }),
    );
  }

  async deleteShardKey(collection: string, key: string | number): Promise<void> {
    await this.#change((client) => client.deleteShardKey(collection, { shard_key: key }));
  }

  async restoreShard(collection: string, shard: ShardPlacement, archive: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#upload(collection, shard, "snapshots/upload", archive);
  }

  async applyDifference(collection: string, shard: ShardPlacement, archive: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#upload(collection, shard, "snapshot/partial/recover", archive);
  }

  async #upload(
    collection: string,
    shard: ShardPlacement,
    what: "snapshots/upload" | "snapshot/partial/recover",
    archive: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const path = `/collections/${encodeURIComponent(collection)}/shards/${shard.id}/${what}?priority=snapshot&wait=true`;
    const boundary = `qdrant-dr-${createHash("sha256").update(`${collection}/${shard.id}`).digest("hex").slice(0, 32)}`;
    const answer = await this.#stream(shard.peerUrl, path, {
      contentType: `multipart/form-data; boundary=${boundary}`,
      body: Readable.from(multipart(boundary, archive), { objectMode: false }),
      idleMs: restoreIdleMs,
    });
    await refuseUnlessOk(answer, `restore of ${collection} shard ${shard.id}`);
    answer.resume();
  }

  async settle(collection: string): Promise<void> {
    // A shard applies its writes in order: this one, of nothing, comes last in each of them.
    await this.#change((client) => client.delete(collection, { wait: true, filter: { must: [{ has_id: [] }] } }));
  }

  async setOptimizationThreads(collection: string, threads: number | "auto"): Promise<void> {
    await this.#change((client) =>
      client.updateCollection(collection, { optimizers_config: { max_optimization_threads: threads } }),
    );
  }

  async health(collection: string): Promise<string> {
    const unrest = unrestIn((await this.#views(collection)).views);
    if (unrest !== undefined) return unrest;
    return (await this.#ask(({ client }) => client.getCollection(collection))).status;
  }

  async deleteCollection(collection: string): Promise<void> {
    await this.#change((client) => client.deleteCollection(collection));
  }

  async createAlias({ alias, collection }: Alias): Promise<void> {
    await this.#change((client) =>
      client.updateCollectionAliases({
        actions: [{ create_alias: { alias_name: alias, collection_name: collection } }],
      }),
    );
  }

  async deleteAlias(alias: string): Promise<void> {
    await this.#change((client) =>
      client.updateCollectionAliases({ actions: [{ delete_alias: { alias_name: alias } }] }),
    );
  }

  /** What one shard's answer takes is the same for all shards of the peer: with many collections, that is a lot. */
  #telemetryOf(peerUrl: string): SharedAnswer<z.infer<typeof telemetrySchema>> {
    const known = this.#telemetry.get(peerUrl);
    if (known !== undefined) return known;
    const ask = async () =>
      telemetrySchema.parse(await this.#getResult(peerUrl, "/telemetry?details_level=10", requestTimeoutMs));
    const shared = new SharedAnswer(ask);
    this.#telemetry.set(peerUrl, shared);
    return shared;
  }

  /** Asks the peers in turn until one answers; once more where a connection that was kept open had been closed. */
  async #ask<T>(call: (peer: Peer) => Promise<T>): Promise<T> {
    const first = this.#preferred;
    let unreachable: unknown;
    for (
      let tried = 0;
      tried < this.#peers.length || (tried === this.#peers.length && wasClosed(unreachable));
      tried += 1
    ) {
      const rank = (first + tried) % this.#peers.length;
      try {
        const answer = await this.#call(() => call(this.#peers[rank] ?? this.#peers[0]));
        this.#preferred = rank;
        return answer;
      } catch (error) {
        if (!hasCode(error, "UNREACHABLE")) throw error;
        unreachable ??= error;
      }
    }
    throw unreachable;
  }

  /** Within what the collection's strict mode allows, which is looked up when Qdrant refuses what is asked without. */
  async #askWithin<T>(collection: string, call: (peer: Peer, allowed: StrictMode) => Promise<T>): Promise<T> {
    try {
      return await this.#ask((peer) => call(peer, notStrict));
    } catch (error) {
      if (!hasCode(error, "QDRANT_REFUSED") || isOverdue(error)) throw error;
      const { config } = await this.#ask(({ client }) => client.getCollection(collection)).catch(() => {
        throw error;
      });
      const allowed = strictModeIn(config);
      if (allowed === notStrict) throw error;
      return this.#ask((peer) => call(peer, allowed));
    }
  }

  /** Sends what changes something, once: after a broken connection it is unknown whether it was done. */
  async #change<T>(call: (client: QdrantClient) => Promise<T>): Promise<T> {
    const { client } = await this.#ask(async (peer) => {
      if (this.#peers.length > 1) await this.#getJson(peer.url, "/");
      return peer;
    });
    return this.#call(() => call(client));
  }

  /**
   * Asks every peer at once. One that does not answer is named, and so is one that does not know yet what is asked of it;
   * when no peer answers, that is an error.
   */
  async #askEvery<T>(call: (peer: Peer) => Promise<T>): Promise<{ answers: T[]; silent: string[] }> {
    const begun = performance.now();
    const rested = this.#peers.filter(({ hungUntil }) => hungUntil < begun);
    const asked = rested.length > 0 ? rested : this.#peers;
    const outcomes = await Promise.all(
      asked.map(async (peer) => {
        try {
          return { peer, answer: await call(peer) };
        } catch (error) {
          if (!hasCode(error, "UNREACHABLE", "QDRANT_REFUSED")) throw error;
          if (performance.now() - begun >= signTimeoutMs) peer.hungUntil = performance.now() + hungForMs;
          return { peer, error };
        }
      }),
    );
    const answers = outcomes.flatMap(({ answer }) => (answer === undefined ? [] : [answer]));
    if (answers.length === 0) throw outcomes[0]?.error;
    const awake = outcomes.filter(({ error }) => error === undefined).map(({ peer }) => peer);
    const preferred = this.#peers[this.#preferred] ?? this.#peers[0];
    if (!awake.includes(preferred)) this.#preferred = this.#peers.findIndex((peer) => awake.includes(peer));
    const silent = this.#peers.filter((peer) => !awake.includes(peer)).map(({ url }) => url);
    return { answers, silent };
  }

  async #views(collection: string): Promise<{ views: ClusterView[]; silent: string[] }> {
    const path = `/collections/${encodeURIComponent(collection)}/cluster`;
    const { answers, silent } = await this.#askEvery(async ({ url }) => {
      return { ...clusterViewSchema.parse(await this.#getResult(url, path)), peerUrl: url };
    });
    return { views: answers, silent };
  }

  async #getResult(peerUrl: string, path: string, timeoutMs?: number): Promise<unknown> {
    return z.object({ result: z.unknown() }).parse(await this.#getJson(peerUrl, path, timeoutMs)).result;
  }

  async #getJson(
    peerUrl: string,
    path: string,
    timeoutMs = this.#address.patienceMs ?? (this.#peers.length > 1 ? signTimeoutMs : requestTimeoutMs),
  ): Promise<unknown> {
    const answer = await this.#call(() =>
      fetch(new URL(path, peerUrl), { headers: this.#headers(), signal: AbortSignal.timeout(timeoutMs) }),
    );
    const body = await this.#call(() => answer.text());
    if (!answer.ok) throw refused(answer.status, body, path);
    return JSON.parse(body);
  }

  /** Uncompressed: a stream costs Qdrant a core otherwise, and a small answer comes in pieces that wait for each other. */
  #headers(): Record<string, string> {
    return { "api-key": this.#address.apiKey, "accept-encoding": "identity" };
  }

  async #call<T>(call: () => Promise<T>): Promise<T> {
    for (let waits = 0; ; waits += 1) {
      try {
        return await call();
      } catch (error) {
        // A collection's rate limit: nothing was done.
        if (!(error instanceof QdrantClientResourceExhaustedError) || waits === mostWaits) throw this.#translate(error);
        await sleep(Math.min(error.retry_after, longestWaitSeconds) * 1000);
      }
    }
  }

  #translate(error: unknown): unknown {
    if (error instanceof DrError || !(error instanceof Error)) return error;
    if (error instanceof QdrantClientResourceExhaustedError) return refused(429, error.message, "request", error);
    const { status, data } = error as { status?: number; data?: unknown };
    if (typeof status === "number") return refused(status, JSON.stringify(data ?? error.message), "request", error);
    const network = error.cause instanceof Error ? error.cause : error;
    const { code } = network as NodeJS.ErrnoException;
    // A time-out's code is a number, which tells nobody anything.
    const reason = typeof code === "string" ? code : network.message;
    return new DrError("UNREACHABLE", `Qdrant at ${this.#address.peers.join(", ")} does not answer (${reason})`, {
      hint: "check that it runs and can be reached from here; `qdrant-dr status` shows every region",
      cause: error,
    });
  }

  /** Asks again each time that the answer is overdue. */
  async #insist<T>(limitsMs: readonly number[], ask: (answerWithinMs: number) => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await ask(limitsMs[attempt] ?? 0);
      } catch (error) {
        if (!isOverdue(error) || attempt === limitsMs.length - 1) throw error;
      }
    }
  }

  /** Requests that stream for as long as they bring bytes: the client library would buffer them. */
  async #stream(
    peerUrl: string,
    path: string,
    {
      answerWithinMs,
      body = Readable.from([]),
      contentType = "application/json",
      idleMs,
      method = "POST",
      signal,
    }: {
      contentType?: string;
      body?: Readable;
      idleMs: number;
      /** The connection is reset when no answer has begun by then. */
      answerWithinMs?: number;
      method?: "DELETE" | "GET" | "POST";
      signal?: AbortSignal | undefined;
    },
  ): Promise<IncomingMessage> {
    const url = new URL(path, peerUrl);
    const options: RequestOptions = {
      method,
      // A kept connection may be closed by the server at the very moment it is used; a stream cannot be sent twice.
      agent: false,
      headers: { ...this.#headers(), "content-type": contentType },
      timeout: idleMs,
      ...(signal === undefined ? {} : { signal }),
    };
    const request = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, options);
    request.on("timeout", () => request.destroy(new Error(`no bytes for ${idleMs / 1000} s`)));
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      request.once("response", resolve);
      request.once("error", reject);
    });
    let overdue: AnswerOverdue | undefined;
    const giveUp = () => {
      overdue = new AnswerOverdue("no answer in time");
      request.socket?.resetAndDestroy();
      request.destroy(overdue);
    };
    const timer = answerWithinMs === undefined ? undefined : setTimeout(giveUp, answerWithinMs);
    try {
      const [answer] = await Promise.all([
        answered,
        pipeline(body, request).catch((error: unknown) => answerOr(answered, error)),
      ]);
      return answer;
    } catch (error) {
      throw this.#translate(overdue ?? error);
    } finally {
      clearTimeout(timer);
    }
  }
}

class AnswerOverdue extends Error {}

function isOverdue(error: unknown): boolean {
  return error instanceof DrError && error.cause instanceof AnswerOverdue;
}

function wasClosed(error: unknown): boolean {
  return error instanceof DrError && /UND_ERR_SOCKET|ECONNRESET/.test(error.message);
}

/** A stream that takes its connection with it: a server may hold locks for as long as that is open, read or not. */
function endingWith(answer: IncomingMessage, content: AsyncIterable<Uint8Array>): Readable {
  const stream = Readable.from(content, { objectMode: false });
  stream.once("close", () => answer.destroy());
  return stream;
}

/** Passes a stream on; when it breaks off, the error says what was under way. */
async function* unbroken(stream: IncomingMessage, what: string): AsyncGenerator<Uint8Array> {
  try {
    yield* stream;
  } catch (cause) {
    throw new DrError("CAPTURE_INCOMPLETE", `${what}: the connection broke off (${(cause as Error).message})`, {
      hint: "check that Qdrant runs, then capture again; nothing was committed",
      cause,
    });
  }
}

/** Passes a stream on; ends in an error when it is not what was made. */
async function* hashedAs(
  sha256: string | undefined,
  stream: AsyncIterable<Uint8Array>,
  what: string,
): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  for await (const bytes of stream) {
    hash.update(bytes);
    yield bytes;
  }
  if (sha256 !== undefined && hash.digest("hex") !== sha256) {
    throw new DrError("CAPTURE_INCOMPLETE", `${what}: it is not what Qdrant made`, {
      hint: "capture again; if it stays, check the disk of the snapshots' folder",
    });
  }
}

/** A server that answers early closes its side; its answer says more than the broken pipe. */
async function answerOr(answered: Promise<IncomingMessage>, error: unknown): Promise<void> {
  const answer = await Promise.race([
    answered.catch(() => undefined),
    new Promise<undefined>((done) => setImmediate(() => done(undefined))),
  ]);
  if (answer === undefined) throw error;
}

async function* multipart(boundary: string, archive: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield Buffer.from(
    `--${boundary}\r\ncontent-disposition: form-data; name="snapshot"; filename="shard.snapshot"\r\ncontent-type: application/octet-stream\r\n\r\n`,
  );
  yield* archive;
  yield Buffer.from(`\r\n--${boundary}--\r\n`);
}

async function refuseUnlessOk(answer: IncomingMessage, what: string): Promise<void> {
  const status = answer.statusCode ?? 0;
  if (status >= 200 && status < 300) return;
  throw refused(status, await text(answer), what);
}

function refused(status: number, text: string, what: string, cause?: unknown): DrError {
  if (status === 401 || status === 403) {
    return new DrError("ACCESS_DENIED", `Qdrant refuses the API key (${status}) for ${what}`, {
      hint: "check the key in the stack's outputs; capture needs rw on the collections, restore needs the full key",
      cause,
    });
  }
  return new DrError("QDRANT_REFUSED", `Qdrant answered ${status} for ${what}: ${text.slice(0, 300)}`, {
    cause: text.includes("Timeout error: ") ? new AnswerOverdue("it gave up", { cause }) : cause,
  });
}
