/**
 * `VectorDatabase` over Qdrant's REST API. What is about a shard is asked of the peer that holds it; all else of the first
 * peer that answers.
 */
import { createHash, randomBytes } from "node:crypto";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { z } from "zod";
import { isRecord, parseExactly, withPlainFloats } from "../../domain/exact-json.ts";
import type { KeyRights } from "../../domain/health/qdrant-hazards.ts";
import { definitionsOf, type ToldIndex } from "../../domain/qdrant/payload-indexes.ts";
import { isScratchName } from "../../domain/qdrant/scratch-name.ts";
import { type SegmentManifest, segmentManifestSchema } from "../../domain/qdrant/segment-manifest.ts";
import type { ShardKey } from "../../domain/qdrant/shard-key-plan.ts";
import { nameOrNumberSchema } from "../../domain/recovery-points/collection-facts.ts";
import { newestVersion } from "../../domain/recovery-points/version-rule.ts";
import { DrError, hasCode, toDrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type {
  Alias,
  CollectionDescription,
  CollectionList,
  CollectionSnapshot,
  CreationOutcome,
  NearestQuery,
  Neighbour,
  Optimizations,
  OtherReplicas,
  PointChange,
  PointId,
  ShardKeyRequest,
  ShardLayout,
  ShardPlacement,
  ShardWriter,
  SketchedPoint,
  StoredPoint,
  VectorDatabase,
} from "../../ports/qdrant.ts";
import { systemClock } from "../../time/system-clock.ts";
import { readAnswer, readJsonAnswer } from "../read-answer.ts";
import { boundedPoints } from "./bounded-points.ts";
import { type Gathering, gathered } from "./gathered.ts";
import {
  activeReplicas,
  type ClusterView,
  clusterViewSchema,
  membershipSchema,
  movementsIn,
  strangersIn,
  unrestIn,
} from "./qdrant-cluster.ts";
import { type Peer, Peers, type QdrantAddress, requestTimeoutMs } from "./qdrant-peers.ts";
import {
  insist,
  isNotFound,
  isOfHalfMadeShard,
  isOfTakenName,
  isOverdue,
  isWrongInput,
  lacksRight,
  refused,
  refuseUnlessOk,
} from "./refusals.ts";
import { changeableSettings, replacementOf } from "./replacement.ts";
import { restoreFingerprintIn } from "./restore-fingerprint.ts";
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
const searchWithinMs = [5_000, 20_000, 100_000];
/** Shorter than a request may take. Left to itself Qdrant gives up after 10 s: several collections at once take a busy cluster longer. */
const agreesWithinSeconds = 100;
/** After the last byte of an archive, Qdrant is silent while it unpacks and loads it. */
const restoreIdleMs = 30 * 60_000;
const idsPerPage = 5_000;

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
              local: z.object({ optimizations: z.unknown() }).nullish(),
            }),
          )
          .nullish(),
      }),
    ),
  }),
});

/**
 * Of one shard, which must not keep the others from being read: null when it could not be loaded (1.17 and later), without a
 * log in less detail.
 */
const optimizationsSchema = z.object({
  log: z.array(
    z.object({
      name: z.string(),
      start_at: z.string(),
      status: z.union([
        z.enum(["optimizing", "done"]),
        z.object({ cancelled: z.string() }),
        z.object({ error: z.string() }),
      ]),
    }),
  ),
});

const versionSchema = z.object({ version: z.string() });
const processSchema = z.object({ id: z.string() });
const clusterSchema = z.object({ status: z.string() });

const startSchema = z.object({ app: z.object({ startup: z.string() }) });

const machineSchema = z.object({
  app: z.object({
    system: z.object({ ram_size: z.number(), disk_size: z.number(), cores: z.number().nullish() }),
  }),
});

const descriptionSchema = z.object({
  config: z.record(z.string(), z.unknown()),
  // With z.record a field that is called __proto__ would be lost.
  payload_schema: z.custom<Record<string, ToldIndex>>(
    (value) => isRecord(value) && Object.values(value).every(isRecord),
    "not an object of fields",
  ),
});

const pointsSchema = z.array(
  z.object({ id: nameOrNumberSchema, payload: z.unknown().optional(), vector: z.unknown().optional() }),
);
const sampleSchema = z.object({ points: z.array(z.object({ id: nameOrNumberSchema })) });
const pageSchema = z.object({
  points: z.array(z.object({ id: nameOrNumberSchema })),
  next_page_offset: nameOrNumberSchema.nullish(),
});
const neighboursSchema = z.array(
  z.object({ points: z.array(z.object({ id: nameOrNumberSchema, score: z.number().nullable() })) }),
);

const aliasesSchema = z.object({
  aliases: z.array(z.object({ alias_name: z.string(), collection_name: z.string() })),
});
const countSchema = z.object({ count: z.number() });
const statusSchema = z.object({ status: z.string() });
const configuredSchema = z.object({ config: z.unknown() });

const snapshotSchema = z.object({ name: z.string(), checksum: z.string().nullish() });
const collectionPath = (collection: string) => `/collections/${encodeURIComponent(collection)}`;
const snapshotsPath = (collection: string) => `${collectionPath(collection)}/snapshots`;

export class Qdrant implements VectorDatabase {
  readonly #clock: Clock;
  readonly #peers: Peers;
  /** How many points of a collection fit into one answer. */
  readonly #batches = new Map<string, number>();
  #seesAll = false;
  readonly #telemetry = new Map<string, SharedAnswer<z.infer<typeof telemetrySchema>>>();

  constructor(address: QdrantAddress, clock: Clock = systemClock) {
    this.#clock = clock;
    this.#peers = new Peers(address, clock);
  }

  /** The first question of what captures, restores and follows: so none of them takes two servers for one. */
  async version(): Promise<string> {
    if (!this.#peers.isOne) await this.#refuseStrangers();
    const versions = await this.#peers.askEvery(async ({ url }) => {
      return readAnswer(versionSchema, await this.#peers.getJson(url, "/"), "GET /").version;
    });
    return newestVersion(versions.answers);
  }

  async time(): Promise<Date | undefined> {
    if (this.#peers.time === undefined) await this.#peers.ask(({ url }) => this.#peers.getJson(url, "/"));
    return this.#peers.time;
  }

  async #refuseStrangers(): Promise<void> {
    const { answers } = await this.#peers.askEvery(async ({ url }) => {
      return { ...(await this.#get(membershipSchema, url, "/cluster")), peerUrl: url };
    });
    const [one, other] = strangersIn(answers) ?? [];
    if (one === undefined || other === undefined) return;
    throw new DrError("SETTING_INVALID", `${one.peerUrl} and ${other.peerUrl} are not peers of one Qdrant`, {
      hint: "name the peers of one cluster, each by its own URL; a Qdrant outside cluster mode has one",
    });
  }

  async processes(): Promise<string[]> {
    const { answers } = await this.#peers.askEvery(async ({ url }) => {
      return (await this.#get(processSchema, url, "/telemetry?details_level=0")).id;
    });
    return [...new Set(answers)];
  }

  async machine(): Promise<{ memoryBytes: number; diskBytes: number; cores: number | undefined }> {
    const { answers } = await this.#peers.askEvery(async ({ url }) => {
      return (await this.#get(machineSchema, url, "/telemetry?details_level=1")).app.system;
    });
    // Told in units of 1024 bytes.
    const sumOf = (field: "ram_size" | "disk_size") => answers.reduce((sum, system) => sum + system[field] * 1024, 0);
    const cores = answers.flatMap((system) => system.cores ?? []);
    return {
      memoryBytes: sumOf("ram_size"),
      diskBytes: sumOf("disk_size"),
      cores: cores.length === 0 ? undefined : Math.min(...cores),
    };
  }

  /** `/debugger` tells its settings to who may do everything, `/cluster` to who may read everything (1.16). */
  async rights(): Promise<KeyRights> {
    if (await this.#mayGet("/debugger")) return "everything";
    return (await this.#mayGet("/cluster")) ? "reads" : "some";
  }

  async #mayGet(path: string): Promise<boolean> {
    try {
      await this.#peers.ask(({ url }) => this.#peers.getJson(url, path));
      return true;
    } catch (error) {
      if (hasCode(error, "ACCESS_DENIED")) return false;
      // A Qdrant without such a path refuses nobody.
      if (hasCode(error, "QDRANT_REFUSED")) return true;
      throw error;
    }
  }

  answersWithoutKey(): Promise<boolean> {
    return this.#peers.ask(({ url }) => this.#peers.answersWithoutKey(url, "/collections"));
  }

  async isClustered(): Promise<boolean> {
    const { status } = await this.#peers.ask(({ url }) => this.#get(clusterSchema, url, "/cluster"));
    return status === "enabled";
  }

  /** All that any peer knows: one that has just been started again may lag behind. Throws ACCESS_DENIED when the key hides some. */
  async listCollections(): Promise<CollectionList> {
    const { names, ...peers } = await this.#listEveryCollection();
    return { names: names.filter((name) => !isScratchName(name)), ...peers };
  }

  async scratchCollections(): Promise<string[]> {
    return (await this.#listEveryCollection()).names.filter(isScratchName);
  }

  async #listEveryCollection(): Promise<CollectionList> {
    await this.#refuseLimitedKey();
    const { answers, silent } = await this.#peers.askEvery(async ({ url }) => {
      return (await this.#get(collectionsSchema, url, "/collections")).collections;
    });
    const names = [...new Set(answers.flatMap((collections) => collections.map(({ name }) => name)))].sort();
    return { names, answered: answers.length, silent };
  }

  /**
   * A token with rights on some collections is shown a list of these, as if there were no others: what is not in it would count as gone.
   * Nothing but what it may ask of the whole server shows that.
   */
  async #refuseLimitedKey(): Promise<void> {
    if (this.#seesAll) return;
    try {
      await this.#peers.ask(({ url }) => this.#peers.getJson(url, "/cluster"));
    } catch (error) {
      // Who asks learns from the list itself what else is wrong.
      if (!lacksRight(error)) return;
      throw new DrError(
        "ACCESS_DENIED",
        "the API key has rights on some collections only: the others would be taken for gone",
        {
          hint: 'give the full API key, or a token with access to everything: `access: "m"` to capture and restore, `access: "r"` to look',
          cause: error,
        },
      );
    }
    this.#seesAll = true;
  }

  async collections(): Promise<string[]> {
    return (await this.listCollections()).names;
  }

  async describe(collection: string): Promise<CollectionDescription> {
    const answer = await this.#peers.ask(({ url }) => this.#peers.exactly(url, "GET", collectionPath(collection)));
    const { config, payload_schema } = readAnswer(descriptionSchema, answer, `GET ${collectionPath(collection)}`);
    return { name: collection, config, payloadIndexes: definitionsOf(payload_schema) };
  }

  async exists(collection: string): Promise<boolean> {
    try {
      await this.describe(collection);
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  async isHalfMade(collection: string): Promise<boolean> {
    try {
      await this.describe(collection);
      return false;
    } catch (error) {
      if (isOfHalfMadeShard(error)) return true;
      throw error;
    }
  }

  async aliases(): Promise<Alias[]> {
    const { aliases } = await this.#peers.ask(({ url }) => this.#get(aliasesSchema, url, "/aliases", requestTimeoutMs));
    return aliases.map(({ alias_name, collection_name }) => ({ alias: alias_name, collection: collection_name }));
  }

  async shards(collection: string): Promise<ShardPlacement[]> {
    return (await this.layout(collection)).shards;
  }

  async layout(collection: string): Promise<ShardLayout> {
    const { views, silent } = await this.#views(collection);
    const { absent, active, lacking } = activeReplicas(views);
    if (lacking.length === 0) return { shards: active, movements: movementsIn(views), absent };
    const without = silent.length === 0 ? "" : `; no answer from ${silent.join(", ")}`;
    throw new DrError(
      silent.length === 0 ? "QDRANT_REFUSED" : "UNREACHABLE",
      `${collection}: no Active replica of shard ${lacking.join(", ")} can be asked${without}`,
      { hint: "list every peer in the region's `qdrant.peers`, and wait until all run and transfers are over" },
    );
  }

  async count(collection: string): Promise<number> {
    const path = `${collectionPath(collection)}/points/count`;
    const answer = await this.#askWithin(collection, ({ url }, { allowsExact }) =>
      this.#peers.exactly(url, "POST", path, { exact: allowsExact }),
    );
    return readAnswer(countSchema, answer, `POST ${path}`).count;
  }

  async *ids(collection: string): AsyncGenerator<PointId> {
    let limit = idsPerPage;
    for (let offset: PointId | undefined, isFirst = true; isFirst || offset !== undefined; isFirst = false) {
      const page = await this.#askWithin(collection, ({ url }, { maxLimit }) => {
        limit = Math.min(limit, maxLimit);
        const body = { ...(offset === undefined ? {} : { offset }), limit, with_payload: false, with_vector: false };
        return this.#peers.exactly(url, "POST", `${collectionPath(collection)}/points/scroll`, body);
      });
      const { next_page_offset, points } = readAnswer(pageSchema, page, `a page of ${collection}`);
      for (const { id } of points) yield id;
      offset = next_page_offset ?? undefined;
    }
  }

  async points(collection: string, ids: readonly PointId[]): Promise<StoredPoint[]> {
    const found: StoredPoint[] = [];
    let size = ids.length;
    for (let from = 0; from < ids.length; from += size) {
      const points = await this.#askWithin(collection, ({ url }, { maxReads }) => {
        size = Math.min(size, maxReads);
        const body = { ids: ids.slice(from, from + size), with_payload: true, with_vector: true };
        return this.#peers.exactly(url, "POST", `${collectionPath(collection)}/points`, body);
      });
      found.push(...storedPoints(points, collection));
    }
    return found;
  }

  sketches(
    collection: string,
    ids: readonly PointId[],
    withinBytes = Number.POSITIVE_INFINITY,
  ): AsyncGenerator<SketchedPoint> {
    const path = `${collectionPath(collection)}/points`;
    return boundedPoints({
      ids,
      withinBytes,
      what: `points of ${collection}`,
      batch: this.#batches.get(collection),
      onBatch: (size) => this.#batches.set(collection, size),
      ask: (batch) =>
        this.#askWithin(collection, async ({ url }, { maxReads }) => {
          const asked = batch.slice(0, maxReads);
          const question = { ids: asked, with_payload: true, with_vector: true };
          return { asked, answer: await this.#peers.streamExactly(url, path, question) };
        }),
    });
  }

  async sampleIds(collection: string, count: number): Promise<PointId[]> {
    const ask = (path: string, query: object) =>
      this.#askWithin(collection, ({ url }, { maxLimit }) =>
        this.#peers.exactly(url, "POST", `${collectionPath(collection)}${path}`, {
          ...query,
          limit: Math.min(count, maxLimit),
          with_payload: false,
          with_vector: false,
        }),
      );
    const answer = await ask("/points/query", { query: { sample: "random" } }).catch((error: unknown) => {
      if (!hasCode(error, "QDRANT_REFUSED")) throw error;
      // With `prevent_unoptimized`, 1.19.0 panics when it is to choose by chance (`PointMappings`, lib/segment/src/id_tracker).
      return ask("/points/scroll", {});
    });
    return readAnswer(sampleSchema, answer, `a sample of ${collection}`).points.map(({ id }) => id);
  }

  async nearest(collection: string, queries: readonly NearestQuery[]): Promise<Neighbour[][] | undefined> {
    if (queries.length === 0) return [];
    try {
      return await this.#search(collection, queries);
    } catch (error) {
      if (queries.length === 1 || !hasCode(error, "QDRANT_REFUSED") || isOverdue(error)) throw error;
    }
    // From 1.17 on, strict mode can limit the searches of one request (`search_max_batchsize`).
    const found: Neighbour[][] = [];
    for (const query of queries) {
      const answers = await this.#search(collection, [query]);
      if (answers === undefined) return undefined;
      found.push(...answers);
    }
    return found;
  }

  async #search(collection: string, queries: readonly NearestQuery[]): Promise<Neighbour[][] | undefined> {
    const answer = await insist(this.#clock, searchWithinMs, (answerWithinMs) =>
      this.#askWithin(collection, async ({ url }, { allowsExact, maxLimit, maxTimeoutSeconds }) => {
        if (!allowsExact && queries.some(({ isApproximate }) => isApproximate !== true)) return undefined;
        const searches = queries.map(({ among, filter, isApproximate, limit, using, vector }) => ({
          query: vector,
          limit: Math.min(limit, maxLimit),
          params: { exact: isApproximate !== true },
          ...(using === undefined ? {} : { using }),
          ...filterOf(filter, among),
        }));
        const timeout = Math.min(answerWithinMs / 1000, maxTimeoutSeconds);
        const path = `${collectionPath(collection)}/points/query/batch?timeout=${timeout}`;
        return this.#peers.exactly(url, "POST", path, { searches });
      }),
    );
    if (answer === undefined) return undefined;
    const answers = readAnswer(neighboursSchema, withPlainFloats(answer), `searches in ${collection}`);
    if (answers.length !== queries.length)
      throw refused({
        status: 200,
        text: `${answers.length} answers to ${queries.length} queries`,
        what: `searches in ${collection}`,
      });
    return answers.map(({ points }) => points);
  }

  async optimizations(
    collection: string,
    shard: ShardPlacement,
    { ageMs }: { readonly ageMs?: number } = {},
  ): Promise<Optimizations | undefined> {
    const shared = this.#telemetryOf(shard.peerUrl);
    const telemetry = await (ageMs === undefined ? shared.fresh() : shared.recent(ageMs));
    const told = telemetry.collections.collections
      .find(({ id }) => id === collection)
      ?.shards?.find(({ id }) => id === shard.id)?.local?.optimizations;
    const { data } = optimizationsSchema.safeParse(told);
    if (data === undefined) return undefined;
    const { log } = data;
    const marksOf = (entries: typeof log) => entries.map(({ name, start_at }) => `${name}@${start_at}`);
    const underWay = marksOf(log.filter(({ status }) => status === "optimizing"));
    return { running: underWay.length, begun: marksOf(log), underWay };
  }

  async processStart(shard: Pick<ShardPlacement, "peerUrl">): Promise<string> {
    return (await this.#get(startSchema, shard.peerUrl, "/telemetry?details_level=1")).app.startup;
  }

  async restoreFingerprint(shard: ShardPlacement): Promise<string> {
    return restoreFingerprintIn(
      await this.#peers.getResult(shard.peerUrl, "/telemetry?details_level=2", requestTimeoutMs),
    );
  }

  async captureShard(
    collection: string,
    shard: ShardPlacement,
    base: SegmentManifest,
    signal?: AbortSignal,
  ): Promise<Readable | undefined> {
    const path = `/collections/${encodeURIComponent(collection)}/shards/${shard.id}/snapshot/partial/create`;
    const what = `capture of ${collection} shard ${shard.id}`;
    const begin = async () => {
      const begun = await insist(this.#clock, captureBeginsWithinMs, (answerWithinMs) =>
        this.#peers.stream(shard.peerUrl, path, {
          body: JSON.stringify(base),
          idleMs: captureIdleMs,
          answerWithinMs,
          signal,
        }),
      );
      if (begun.statusCode !== 304) await refuseUnlessOk(begun, what);
      return begun;
    };
    const answer = await this.#peers.call(begin, { isQuestion: true });
    if (answer.statusCode === 304) {
      answer.resume();
      return undefined;
    }
    return gathered(answer, { translate: brokenOff(what) });
  }

  async segments(collection: string, shard: ShardPlacement): Promise<SegmentManifest | undefined> {
    const path = `/collections/${encodeURIComponent(collection)}/shards/${shard.id}/snapshot/partial/manifest`;
    try {
      return await this.#get(segmentManifestSchema, shard.peerUrl, path, requestTimeoutMs);
    } catch (error) {
      // Of a shard that a kill left half-made Qdrant says so with 500.
      if (hasCode(error, "QDRANT_REFUSED")) return undefined;
      throw error;
    }
  }

  async snapshots(collection: string, shard: ShardPlacement): Promise<string[]> {
    const list = await this.#get(z.array(snapshotSchema), shard.peerUrl, snapshotsPath(collection));
    return list.map(({ name }) => name);
  }

  async createSnapshot(collection: string, shard: ShardPlacement): Promise<CollectionSnapshot> {
    const path = `${snapshotsPath(collection)}?wait=true`;
    // Silent until the last segment is written.
    const answer = await this.#peers.stream(shard.peerUrl, path, { idleMs: restoreIdleMs });
    await refuseUnlessOk(answer, `a snapshot of ${collection}`);
    const made = await this.#peers.call(() => text(answer));
    const { checksum, name } = readJsonAnswer(z.object({ result: snapshotSchema }), made, `POST ${path}`).result;
    return { name, ...(typeof checksum === "string" ? { sha256: checksum } : {}) };
  }

  async readSnapshot(
    collection: string,
    shard: ShardPlacement,
    { name, sha256 }: CollectionSnapshot,
  ): Promise<Readable> {
    const path = `${snapshotsPath(collection)}/${encodeURIComponent(name)}`;
    const answer = await this.#peers.stream(shard.peerUrl, path, { method: "GET", idleMs: captureIdleMs });
    const what = `download of the snapshot ${name}`;
    await refuseUnlessOk(answer, what);
    return gathered(answer, { translate: brokenOff(what), ...(sha256 === undefined ? {} : hashedAs(sha256, what)) });
  }

  async deleteSnapshot(collection: string, shard: ShardPlacement, name: string): Promise<void> {
    const path = `${snapshotsPath(collection)}/${encodeURIComponent(name)}?wait=true`;
    const answer = await this.#peers.stream(shard.peerUrl, path, { method: "DELETE", idleMs: requestTimeoutMs });
    await refuseUnlessOk(answer, `deletion of the snapshot ${name}`).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
    answer.resume();
  }

  async createCollection(
    collection: CollectionDescription,
    onOutcome?: (outcome: CreationOutcome) => void,
  ): Promise<void> {
    const { params, hnsw_config, optimizer_config, wal_config, quantization_config, metadata } =
      collection.config as Record<string, object | undefined>;
    const optional = { quantization_config, metadata };
    const { read_fan_out_delay_ms, read_fan_out_factor, ...creatable } = (params ?? {}) as FanOut;
    try {
      await this.#peers.change((_client, url) =>
        this.#peers.changeExactly(url, "PUT", agreed(collectionPath(collection.name)), {
          ...creatable,
          hnsw_config,
          optimizers_config: optimizer_config,
          wal_config,
          ...settingsAmong(optional),
        }),
      );
    } catch (error) {
      if (isOfTakenName(error)) onOutcome?.("taken");
      throw error;
    }
    onOutcome?.("created");
    // Creation ignores it.
    const fanOut = settingsAmong({ read_fan_out_factor, read_fan_out_delay_ms });
    if (Object.keys(fanOut).length > 0) {
      await this.#peers.change((client) =>
        client.updateCollection(collection.name, { params: fanOut, timeout: agreesWithinSeconds }),
      );
    }
  }

  async setStrictMode(collection: string, settings: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#peers.change((_client, url) =>
      this.#peers.changeExactly(url, "PATCH", agreed(collectionPath(collection)), { strict_mode_config: settings }),
    );
  }

  async createPayloadIndex(collection: string, field: string, definition: unknown): Promise<void> {
    await this.#peers.change((client) =>
      client.createPayloadIndex(collection, {
        field_name: field,
        field_schema: definition as "keyword",
        wait: true,
      }),
    );
  }

  async deletePayloadIndex(collection: string, field: string): Promise<void> {
    await this.#peers.change((client) => client.deletePayloadIndex(collection, field, { wait: true }));
  }

  async changeSettings(collection: string, config: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#peers.change((_client, url) =>
      this.#peers.changeExactly(url, "PATCH", agreed(collectionPath(collection)), changeableSettings(config)),
    );
  }

  async replacePoints(collection: string, change: PointChange): Promise<"applied" | { readonly refused: string }> {
    const body = replacementOf(change);
    if (body === undefined) return "applied";
    const path = `${collectionPath(collection)}/points/batch?wait=true`;
    try {
      await this.#peers.change((_client, url) => this.#peers.changeByText(url, "POST", path, body));
      return "applied";
    } catch (error) {
      if (isNotFound(error) || isWrongInput(error)) return { refused: toDrError(error).message };
      throw error;
    }
  }

  async createShardKey(collection: string, { key, replicationFactor, shards }: ShardKeyRequest): Promise<void> {
    await this.#peers.change((_client, url) =>
      this.#peers.changeExactly(url, "PUT", agreed(`${collectionPath(collection)}/shards`), {
        shard_key: key,
        shards_number: shards,
        ...(replicationFactor === undefined ? {} : { replication_factor: replicationFactor }),
      }),
    );
  }

  async deleteShardKey(collection: string, key: ShardKey): Promise<void> {
    await this.#peers.change((_client, url) =>
      this.#peers.changeExactly(url, "POST", agreed(`${collectionPath(collection)}/shards/delete`), { shard_key: key }),
    );
  }

  restoreShard(...[collection, ...upload]: Parameters<ShardWriter["restoreShard"]>): Promise<void> {
    return this.#upload("snapshots/upload", collection, ...upload);
  }

  applyDifference(...[collection, ...upload]: Parameters<ShardWriter["applyDifference"]>): Promise<void> {
    return this.#upload("snapshot/partial/recover", collection, ...upload);
  }

  async #upload(
    endpoint: string,
    collection: string,
    { id, peerUrl }: ShardPlacement,
    archive: AsyncIterable<Uint8Array>,
    others: OtherReplicas = "follow",
  ): Promise<void> {
    const what = `restore of ${collection} shard ${id}`;
    const priority = others === "follow" ? "snapshot" : "no_sync";
    const path = `${collectionPath(collection)}/shards/${id}/${endpoint}?priority=${priority}&wait=true`;
    // Nobody can know it before: points whose bytes are the boundary would end the archive there.
    const boundary = `qdrant-dr-${randomBytes(24).toString("hex")}`;
    const answer = await this.#peers.stream(peerUrl, path, {
      contentType: `multipart/form-data; boundary=${boundary}`,
      body: multipart(boundary, archive),
      idleMs: restoreIdleMs,
    });
    await refuseUnlessOk(answer, what);
    answer.resume();
  }

  async settle(collection: string): Promise<void> {
    // A shard applies its writes in order: this one, of nothing, comes last in each of them.
    await this.#peers.change((client) => client.delete(collection, { wait: true, filter: { must: [{ has_id: [] }] } }));
  }

  async setOptimizationThreads(collection: string, threads: number | "auto"): Promise<void> {
    await this.#peers.change((client) =>
      client.updateCollection(collection, {
        optimizers_config: { max_optimization_threads: threads },
        timeout: agreesWithinSeconds,
      }),
    );
  }

  async health(collection: string): Promise<string> {
    const unrest = unrestIn((await this.#views(collection)).views);
    if (unrest !== undefined) return unrest;
    const path = collectionPath(collection);
    return (await this.#peers.ask(({ url }) => this.#get(statusSchema, url, path, requestTimeoutMs))).status;
  }

  async deleteCollection(collection: string): Promise<void> {
    await this.#peers.change((client) => client.deleteCollection(collection, { timeout: agreesWithinSeconds }));
  }

  async createAlias({ alias, collection }: Alias): Promise<void> {
    await this.#peers.change((client) =>
      client.updateCollectionAliases({
        timeout: agreesWithinSeconds,
        actions: [{ create_alias: { alias_name: alias, collection_name: collection } }],
      }),
    );
  }

  async deleteAlias(alias: string): Promise<void> {
    await this.#peers.change((client) =>
      client.updateCollectionAliases({
        timeout: agreesWithinSeconds,
        actions: [{ delete_alias: { alias_name: alias } }],
      }),
    );
  }

  async #get<T>(schema: z.ZodType<T>, peerUrl: string, path: string, timeoutMs?: number): Promise<T> {
    return readAnswer(schema, await this.#peers.getResult(peerUrl, path, timeoutMs), `GET ${path}`);
  }

  /** What one shard's answer takes is the same for all shards of the peer: with many collections, that is a lot. */
  #telemetryOf(peerUrl: string): SharedAnswer<z.infer<typeof telemetrySchema>> {
    const known = this.#telemetry.get(peerUrl);
    if (known !== undefined) return known;
    const ask = () => this.#get(telemetrySchema, peerUrl, "/telemetry?details_level=10", requestTimeoutMs);
    const shared = new SharedAnswer(ask, this.#clock);
    this.#telemetry.set(peerUrl, shared);
    return shared;
  }

  /** Within what the collection's strict mode allows, which is looked up when Qdrant refuses what is asked without. */
  async #askWithin<T>(collection: string, call: (peer: Peer, allowed: StrictMode) => Promise<T>): Promise<T> {
    try {
      return await this.#peers.ask((peer) => call(peer, notStrict));
    } catch (error) {
      if (!hasCode(error, "QDRANT_REFUSED") || isOverdue(error)) throw error;
      const path = collectionPath(collection);
      const { config } = await this.#peers
        .ask(async ({ url }) =>
          readAnswer(configuredSchema, await this.#peers.exactly(url, "GET", path), `GET ${path}`),
        )
        .catch(() => {
          throw error;
        });
      const allowed = strictModeIn(config);
      if (allowed === notStrict) throw error;
      return this.#peers.ask((peer) => call(peer, allowed));
    }
  }

  async #views(collection: string): Promise<{ views: ClusterView[]; silent: string[] }> {
    const path = `/collections/${encodeURIComponent(collection)}/cluster`;
    const { answers, silent } = await this.#peers.askEvery(async ({ url }) => {
      const view = await this.#peers.getResult(url, path, undefined, parseExactly);
      return { ...readAnswer(clusterViewSchema, view, `GET ${path}`), peerUrl: url };
    });
    return { views: answers, silent };
  }
}

/** A change of what a cluster's peers have to agree on. */
function agreed(path: string): string {
  return `${path}?timeout=${agreesWithinSeconds}`;
}

/** The vectors' numbers are floats, however they are written. */
function storedPoints(points: unknown, collection: string): StoredPoint[] {
  const read = readAnswer(pointsSchema, points, `points of ${collection}`);
  return read.map(({ id, payload, vector }) => ({ id, payload: payload ?? {}, vector: withPlainFloats(vector ?? {}) }));
}

/** How reads of a collection are spread (1.16; the delay from 1.17 on). */
interface FanOut {
  readonly read_fan_out_factor?: number | null;
  readonly read_fan_out_delay_ms?: number | null;
}

/** Without what was never set. */
function settingsAmong<T>(settings: Readonly<Record<string, T | null | undefined>>): Record<string, T> {
  return Object.fromEntries(
    Object.entries(settings).flatMap(([name, value]) => (value === null || value === undefined ? [] : [[name, value]])),
  );
}

/** Of a connection whose stream ends too early: says what was under way. */
function brokenOff(what: string): (cause: Error) => DrError {
  return (cause) =>
    new DrError("CAPTURE_INCOMPLETE", `${what}: the connection broke off (${cause.message})`, {
      hint: "check that Qdrant runs, then capture again; nothing was committed",
      cause,
    });
}

/** Refuses a stream that is not what was made. */
function hashedAs(sha256: string, what: string): Required<Pick<Gathering, "onBytes" | "onEnd">> {
  const hash = createHash("sha256");
  return {
    onBytes: (bytes) => void hash.update(bytes),
    onEnd: () => {
      if (hash.digest("hex") === sha256) return;
      throw new DrError("CAPTURE_INCOMPLETE", `${what}: it is not what Qdrant made`, {
        hint: "capture again; if it stays, check the disk of the snapshots' folder",
      });
    },
  };
}

async function* multipart(boundary: string, archive: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield Buffer.from(
    `--${boundary}\r\ncontent-disposition: form-data; name="snapshot"; filename="shard.snapshot"\r\ncontent-type: application/octet-stream\r\n\r\n`,
  );
  yield* archive;
  yield Buffer.from(`\r\n--${boundary}--\r\n`);
}

function filterOf(filter: NearestQuery["filter"], among: NearestQuery["among"]): object {
  const must = [
    ...(filter === undefined ? [] : [{ key: filter.key, match: { value: filter.value } }]),
    ...(among === undefined ? [] : [{ has_id: among }]),
  ];
  return must.length === 0 ? {} : { filter: { must } };
}
