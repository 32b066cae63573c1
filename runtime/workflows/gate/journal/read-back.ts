/** What Qdrant holds now, as entries of the journal: asked of it while nobody else may write there. */
import { parseExactly } from "../../../domain/exact-json.ts";
import type { JournalEntry } from "../../../domain/journal/entry.ts";
import { inOneLine } from "../../../domain/journal/entry-text.ts";
import { JsonScan } from "../../../domain/journal/json-scan.ts";
import { numericId, type PointId, uuidId } from "../../../domain/journal/point-id.ts";
import type { GatedAnswer, GatedQdrant, GatedRequest } from "../../../ports/gated-qdrant.ts";

/** Of one request: its answer holds all of their vectors. */
const idsAtOnce = 256;
const scrolledAtOnce = 1_000;
const againMs = 200;

/** Qdrant answered that it will not say. */
export interface NotTold {
  readonly problem: string;
}

export interface CollectionTold {
  readonly config: unknown;
  readonly indexes: Readonly<Record<string, unknown>>;
  /** Names of its vectors, dense and sparse, the unnamed one as "". */
  readonly vectors: readonly string[];
  readonly hasShardKeys: boolean;
}

export class ReadBack {
  readonly #qdrant: GatedQdrant;
  readonly #isEnding: () => boolean;

  constructor(qdrant: GatedQdrant, isEnding: () => boolean) {
    this.#qdrant = qdrant;
    this.#isEnding = isEnding;
  }

  /** Waits until Qdrant answers, and has done whatever it had begun with this collection. */
  async settle(collection: string): Promise<void> {
    // It goes through the log of every shard, behind what came before it, and matches nothing.
    const body = { filter: { must: [{ has_id: [] }] } };
    await this.#untilAnswered({
      method: "POST",
      url: `${pathOf(collection)}/points/delete?wait=true`,
      body: Buffer.from(JSON.stringify(body)),
    });
  }

  /** Entries that say what these ids are now. Answers none when there is no such collection. */
  async points(
    collection: string,
    ids: readonly PointId[],
    shardKey: string | undefined,
    at: string,
  ): Promise<JournalEntry[] | NotTold> {
    const entries: JournalEntry[] = [];
    for (let begin = 0; begin < ids.length; begin += idsAtOnce) {
      const some = ids.slice(begin, begin + idsAtOnce);
      const key = shardKey === undefined ? "" : `,"shard_key":${shardKey}`;
      const answer = await this.#untilAnswered({
        method: "POST",
        url: `${pathOf(collection)}/points?consistency=all`,
        body: Buffer.from(`{"ids":[${some.join(",")}],"with_payload":true,"with_vector":true${key}}`),
      });
      if (answer.status === 404 && (await this.collection(collection)) === undefined) return [];
      if (answer.status !== 200) return notTold(answer);
      const points = resultsOf(answer.body);
      entries.push({
        kind: "points",
        at,
        collection,
        isComplete: false,
        ids: some,
        points,
        ...(shardKey === undefined ? {} : { shardKey }),
      });
    }
    return entries;
  }

  /** The ids that match a filter, or undefined when there are more than `most`. */
  async matching(collection: string, filter: string, most: number): Promise<PointId[] | NotTold | undefined> {
    const ids: PointId[] = [];
    for (let offset = ""; ; ) {
      const body = `{"filter":${filter},"limit":${scrolledAtOnce},"with_payload":false,"with_vector":false${offset}}`;
      const answer = await this.#untilAnswered({
        method: "POST",
        url: `${pathOf(collection)}/points/scroll?consistency=all`,
        body: Buffer.from(body),
      });
      if (answer.status !== 200) return notTold(answer);
      const { next, points } = pageOf(answer.body);
      ids.push(...points);
      if (ids.length > most) return undefined;
      if (next === undefined) return ids;
      offset = `,"offset":${next}`;
    }
  }

  /** Undefined when there is no such collection. */
  async collection(name: string): Promise<CollectionTold | undefined> {
    const answer = await this.#untilAnswered({ method: "GET", url: pathOf(name) });
    if (answer.status !== 200) return undefined;
    return collectionIn(answer.body);
  }

  async aliases(): Promise<{ alias: string; collection: string }[]> {
    const answer = await this.#untilAnswered({ method: "GET", url: "/aliases" });
    const { result } = parseExactly(answer.body.toString("utf8")) as {
      result: { aliases: { alias_name: string; collection_name: string }[] };
    };
    return result.aliases.map((each) => ({ alias: each.alias_name, collection: each.collection_name }));
  }

  /** Whether a collection has a shard key, which is given as JSON. */
  async hasShardKey(collection: string, shardKey: string): Promise<boolean> {
    const answer = await this.#untilAnswered({ method: "GET", url: `${pathOf(collection)}/cluster` });
    if (answer.status !== 200) return false;
    const { result } = parseExactly(answer.body.toString("utf8")) as {
      result: { local_shards: { shard_key?: unknown }[]; remote_shards: { shard_key?: unknown }[] };
    };
    const keys = [...result.local_shards, ...result.remote_shards].map((shard) => JSON.stringify(shard.shard_key));
    return keys.includes(shardKey);
  }

  async #untilAnswered(request: GatedRequest): Promise<GatedAnswer> {
    for (;;) {
      const outcome = await this.#qdrant.ask(request);
      // 5xx: it is not ready, or cannot say at present. 429: strict mode lets nobody write more just now.
      if (outcome.kind === "answered" && outcome.status < 500 && outcome.status !== 429) return outcome;
      if (this.#isEnding()) throw new Error("the gate ends");
      await new Promise((resolve) => setTimeout(resolve, againMs));
    }
  }
}

function pathOf(collection: string): string {
  return `/collections/${encodeURIComponent(collection)}`;
}

function notTold({ body, status }: GatedAnswer): NotTold {
  return { problem: `Qdrant answered ${status}: ${body.toString("utf8", 0, 300)}` };
}

/** Each element of `result` as it is written. */
function resultsOf(body: Buffer): string[] {
  const scan = new JsonScan(body);
  const points: string[] = [];
  scan.members(scan.begin, (name, value) => {
    if (name === "result") scan.elements(value, (point) => points.push(inOneLine(scan.text(point))));
  });
  return points;
}

function pageOf(body: Buffer): { points: PointId[]; next: string | undefined } {
  const scan = new JsonScan(body);
  const points: PointId[] = [];
  let next: string | undefined;
  scan.members(scan.begin, (name, result) => {
    if (name !== "result") return;
    scan.members(result, (part, value) => {
      if (part === "next_page_offset" && !scan.isNull(value)) next = scan.text(value);
      if (part !== "points") return;
      scan.elements(value, (point) =>
        scan.members(point, (field, id) => {
          if (field !== "id") return;
          const text = scan.text(id);
          const read = scan.isString(id) ? uuidId(String(JSON.parse(text))) : numericId(text);
          if (read !== undefined) points.push(read);
        }),
      );
    });
  });
  return { points, next };
}

function collectionIn(body: Buffer): CollectionTold {
  const { result } = parseExactly(body.toString("utf8")) as {
    result: {
      config: { params: { vectors?: object; sparse_vectors?: object; sharding_method?: string } };
      payload_schema: Record<string, Record<string, unknown>>;
    };
  };
  const { sharding_method, sparse_vectors = {}, vectors = {} } = result.config.params;
  const dense = "size" in vectors && typeof vectors.size === "number" ? [""] : Object.keys(vectors);
  const indexes = Object.entries(result.payload_schema).map(([field, { points: _, ...schema }]) => [field, schema]);
  return {
    config: result.config,
    indexes: Object.fromEntries(indexes),
    vectors: [...dense, ...Object.keys(sparse_vectors)],
    hasShardKeys: sharding_method === "custom",
  };
}
