/** What Qdrant holds now, as entries of the journal: asked of it while nobody else may write there. */
import { isRecord, parseExactly } from "../../../domain/exact-json.ts";
import type { PointsEntry } from "../../../domain/journal/entry.ts";
import { inOneLine } from "../../../domain/journal/entry-text.ts";
import { JsonScan } from "../../../domain/journal/json-scan.ts";
import { numericId, type PointId, uuidId } from "../../../domain/journal/point-id.ts";
import { definitionsOf, type ToldIndex } from "../../../domain/qdrant/payload-indexes.ts";
import type { GatedAnswer, GatedQdrant, GatedRequest } from "../../../ports/gated-qdrant.ts";
import { batchThatKeeps } from "./write-again.ts";

/** Of one request: its answer holds all of their vectors. */
const idsAtOnce = 256;
const scrolledAtOnce = 1_000;
const againMs = 200;
/** Of the points of one entry: Qdrant takes no body over 32 MiB, and one point may be long. */
export const bytesOfEntry = 4 * 1024 * 1024;

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
  async settle(collection: string): Promise<NotTold | undefined> {
    // It goes through the log of every shard, behind what came before it, and matches nothing.
    const body = { filter: { must: [{ has_id: [] }] } };
    const answer = await this.#untilAnswered({
      method: "POST",
      url: `${pathOf(collection)}/points/delete?wait=true`,
      body: Buffer.from(JSON.stringify(body)),
    });
    return answer.status === 200 || isNone(answer) ? undefined : notTold(answer);
  }

  /** Entries that say what these ids are now. Answers none when there is no such collection. */
  async points(
    collection: string,
    ids: readonly PointId[],
    shardKey: string | undefined,
    at: string,
  ): Promise<PointsEntry[] | NotTold> {
    const entries: PointsEntry[] = [];
    for (let begin = 0; begin < ids.length; begin += idsAtOnce) {
      const some = ids.slice(begin, begin + idsAtOnce);
      const key = shardKey === undefined ? "" : `,"shard_key":${shardKey}`;
      const answer = await this.#untilAnswered({
        method: "POST",
        url: `${pathOf(collection)}/points?consistency=all`,
        body: Buffer.from(`{"ids":[${some.join(",")}],"with_payload":true,"with_vector":true${key}}`),
      });
      if (isNone(answer)) {
        const there = await this.collection(collection);
        if (there === undefined) return [];
        if ("problem" in there) return there;
      }
      const read = toldIn(answer, pointsIn);
      if ("problem" in read) return read;
      const common = { kind: "points", at, collection, isComplete: false } as const;
      for (const group of groupsOf(some, read)) {
        entries.push({ ...common, ...group, ...(shardKey === undefined ? {} : { shardKey }) });
      }
    }
    return entries;
  }

  /** What was read is what Qdrant keeps when it is started again. @throws Error when it refuses it. */
  async writeAgain(entries: readonly PointsEntry[]): Promise<void> {
    const [first] = entries;
    const told = first && (await this.collection(first.collection));
    if (!isTold(told)) return;
    for (const entry of entries) {
      const body = batchThatKeeps(entry, told.vectors);
      if (body === undefined) continue;
      const url = `${pathOf(entry.collection)}/points/batch?wait=true`;
      const answer = await this.#untilAnswered({ method: "POST", url, body: Buffer.from(body) });
      if (answer.status !== 200 && !isNone(answer)) throw new Error(notTold(answer).problem);
    }
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
      const page = toldIn(answer, pageOf);
      if ("problem" in page) return page;
      const { next, points } = page;
      ids.push(...points);
      if (ids.length > most) return undefined;
      if (next === undefined) return ids;
      offset = `,"offset":${next}`;
    }
  }

  /** Undefined when Qdrant says that there is no such collection. */
  async collection(name: string): Promise<CollectionTold | NotTold | undefined> {
    const answer = await this.#untilAnswered({ method: "GET", url: pathOf(name) });
    return isNone(answer) ? undefined : toldIn(answer, collectionIn);
  }

  async aliases(): Promise<{ alias: string; collection: string }[] | NotTold> {
    return toldIn(await this.#untilAnswered({ method: "GET", url: "/aliases" }), aliasesIn);
  }

  /** Whether a collection has a shard key, which is given as JSON. */
  async hasShardKey(collection: string, shardKey: string): Promise<{ isThere: boolean } | NotTold> {
    const answer = await this.#untilAnswered({ method: "GET", url: `${pathOf(collection)}/cluster` });
    if (isNone(answer)) return { isThere: false };
    return toldIn(answer, (body) => ({ isThere: shardKeysIn(body).includes(shardKey) }));
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

export function isTold(told: CollectionTold | NotTold | undefined): told is CollectionTold {
  return told !== undefined && !("problem" in told);
}

function pathOf(collection: string): string {
  return `/collections/${encodeURIComponent(collection)}`;
}

function notTold({ body, status }: GatedAnswer): NotTold {
  return { problem: `Qdrant answered ${status}: ${body.toString("utf8", 0, 300)}` };
}

/** Qdrant's own word that there is none: whatever stands before it may answer 404, too. */
function isNone({ body, status }: GatedAnswer): boolean {
  if (status !== 404) return false;
  try {
    const answer = parseExactly(body.toString("utf8"));
    return isRecord(answer) && isRecord(answer["status"]) && typeof answer["status"]["error"] === "string";
  } catch {
    return false;
  }
}

function toldIn<T extends object>(answer: GatedAnswer, read: (body: Buffer) => T): T | NotTold {
  if (answer.status !== 200) return notTold(answer);
  try {
    return read(answer.body);
  } catch {
    return notTold(answer);
  }
}

interface PointTold {
  readonly id: PointId;
  readonly text: string;
}

/** Each element of `result` as it is written. */
function pointsIn(body: Buffer): PointTold[] {
  const scan = new JsonScan(body);
  let points: PointTold[] | undefined;
  scan.members(scan.begin, (name, value) => {
    if (name !== "result") return;
    const found: PointTold[] = [];
    points = found;
    scan.elements(value, (point) => {
      const id = idOf(scan, point);
      if (id === undefined) throw new SyntaxError("a point has no id that the gate knows");
      found.push({ id, text: inOneLine(scan.text(point)) });
    });
  });
  if (points === undefined) throw new SyntaxError("it has no result");
  return points;
}

/** As few as hold them: what is no point any more is told by the first one. */
function groupsOf(ids: readonly PointId[], points: readonly PointTold[]): { ids: PointId[]; points: string[] }[] {
  const present = new Set(points.map(({ id }) => id));
  let group = { ids: ids.filter((id) => !present.has(id)), points: [] as string[] };
  const groups = [group];
  let bytes = 0;
  for (const { id, text } of points) {
    const length = Buffer.byteLength(text);
    if (bytes > 0 && bytes + length > bytesOfEntry) {
      group = { ids: [], points: [] };
      groups.push(group);
      bytes = 0;
    }
    group.ids.push(id);
    group.points.push(text);
    bytes += length;
  }
  return groups;
}

function idOf(scan: JsonScan, point: number): PointId | undefined {
  let read: PointId | undefined;
  scan.members(point, (field, id) => {
    if (field !== "id") return;
    const text = scan.text(id);
    read = scan.isString(id) ? uuidId(String(JSON.parse(text))) : numericId(text);
  });
  return read;
}

function pageOf(body: Buffer): { points: PointId[]; next: string | undefined } {
  const scan = new JsonScan(body);
  const points: PointId[] = [];
  let next: string | undefined;
  let isPage = false;
  scan.members(scan.begin, (name, result) => {
    if (name !== "result") return;
    scan.members(result, (part, value) => {
      if (part === "next_page_offset" && !scan.isNull(value)) next = scan.text(value);
      if (part !== "points") return;
      isPage = true;
      scan.elements(value, (point) => {
        const id = idOf(scan, point);
        if (id === undefined) throw new SyntaxError("a point has no id that the gate knows");
        points.push(id);
      });
    });
  });
  if (!isPage) throw new SyntaxError("it has no points");
  return { points, next };
}

function aliasesIn(body: Buffer): { alias: string; collection: string }[] {
  const { result } = parseExactly(body.toString("utf8")) as {
    result: { aliases: { alias_name: string; collection_name: string }[] };
  };
  return result.aliases.map((each) => ({ alias: each.alias_name, collection: each.collection_name }));
}

function shardKeysIn(body: Buffer): string[] {
  const { result } = parseExactly(body.toString("utf8")) as {
    result: { local_shards: { shard_key?: unknown }[]; remote_shards: { shard_key?: unknown }[] };
  };
  return [...result.local_shards, ...result.remote_shards].map((shard) => JSON.stringify(shard.shard_key));
}

function collectionIn(body: Buffer): CollectionTold {
  const { result } = parseExactly(body.toString("utf8")) as {
    result: {
      config: { params: { vectors?: object; sparse_vectors?: object; sharding_method?: string } };
      payload_schema: Record<string, ToldIndex>;
    };
  };
  const { sharding_method, sparse_vectors = {}, vectors = {} } = result.config.params;
  const dense = "size" in vectors && typeof vectors.size === "number" ? [""] : Object.keys(vectors);
  return {
    config: result.config,
    indexes: definitionsOf(result.payload_schema),
    vectors: [...dense, ...Object.keys(sparse_vectors)],
    hasShardKeys: sharding_method === "custom",
  };
}
