/** Which points a write of points over REST may touch, and whether it says all that they are afterwards. */
import { inOneLine } from "./entry-text.ts";
import { JsonScan } from "./json-scan.ts";
import { numericId, type PointId, uuidId } from "./point-id.ts";

export interface TouchedPoints {
  /** Every id that it names, each once. */
  readonly ids: readonly PointId[];
  /** Every filter that it has, as JSON: what matches them before the write is touched, too. */
  readonly filters: readonly string[];
  /** Every shard key that it names, as JSON. */
  readonly shardKeys: readonly string[];
  /** What of it cannot be followed, in words. */
  readonly unclear?: string;
  /** Of an upsert of points one by one, when it names each id once: the points in the order of the ids. */
  readonly points?: readonly UpsertedPoint[];
  /** Whether it has several operations, of which some may be done when it is refused. */
  readonly isBatch: boolean;
}

export interface UpsertedPoint {
  /** As JSON, in one line. */
  readonly text: string;
  /** Its vectors by name, the unnamed one as ""; undefined when a server makes vectors of what it gives. */
  readonly vectors: readonly string[] | undefined;
  readonly hasPayload: boolean;
}

/** @throws SyntaxError when it is no JSON that Qdrant would take. */
export function touchedPoints(body: Buffer): TouchedPoints {
  return new Touched(new JsonScan(body)).read();
}

class Touched {
  readonly #scan: JsonScan;
  readonly #ids = new Set<PointId>();
  readonly #filters: string[] = [];
  readonly #shardKeys = new Set<string>();
  readonly #points: UpsertedPoint[] = [];
  #unclear: string | undefined;
  #isConditional = false;
  #isRepeated = false;
  #isBatch = false;

  constructor(scan: JsonScan) {
    this.#scan = scan;
  }

  read(): TouchedPoints {
    this.#operation(this.#scan.begin);
    const isUpsert = this.#points.length > 0 && this.#points.length === this.#ids.size;
    const canTell = isUpsert && !this.#isConditional && !this.#isRepeated && !this.#isBatch;
    return {
      ids: [...this.#ids],
      filters: this.#filters,
      shardKeys: [...this.#shardKeys],
      isBatch: this.#isBatch,
      ...(this.#unclear === undefined ? {} : { unclear: this.#unclear }),
      ...(canTell && this.#filters.length === 0 ? { points: this.#points } : {}),
    };
  }

  #operation(at: number): void {
    const scan = this.#scan;
    if (!scan.isObject(at)) throw new SyntaxError("an operation is no object");
    const names = new Set<string>();
    scan.members(at, (name, value) => {
      // Of two members of one name Qdrant takes one.
      if (names.has(name)) this.#isRepeated = true;
      names.add(name);
      if (scan.isNull(value)) return;
      if (name === "points") this.#pointsOf(value);
      else if (name === "batch") this.#columns(value);
      else if (name === "filter") this.#filters.push(scan.text(value));
      else if (name === "operations") this.#operations(value);
      else if (name === "shard_key") this.#shardKey(value);
      else if (name === "update_filter" || name === "update_mode") this.#isConditional = true;
    });
  }

  #operations(array: number): void {
    this.#isBatch = true;
    this.#scan.elements(array, (operation) => {
      this.#scan.members(operation, (_name, value) => this.#operation(value));
    });
  }

  #pointsOf(value: number): void {
    if (!this.#scan.isArray(value)) return;
    this.#scan.elements(value, (element) => {
      if (this.#scan.isObject(element)) this.#point(element);
      else this.#id(element);
    });
  }

  #point(at: number): void {
    const scan = this.#scan;
    let vectors: readonly string[] | undefined = [];
    let hasPayload = false;
    scan.members(at, (name, value) => {
      if (name === "id") this.#id(value);
      else if (name === "payload") hasPayload = scan.isObject(value);
      else if (name === "vector") vectors = this.#vectorsOf(value);
    });
    this.#points.push({ text: inOneLine(scan.text(at)), vectors, hasPayload });
  }

  #vectorsOf(value: number): readonly string[] | undefined {
    const scan = this.#scan;
    if (scan.isArray(value)) return [""];
    if (!scan.isObject(value)) return undefined;
    let names: string[] | undefined = [];
    scan.members(value, (name, vector) => {
      if (scan.isArray(vector) || this.#isSparse(vector)) names?.push(name);
      else names = undefined;
    });
    return names;
  }

  #isSparse(value: number): boolean {
    if (!this.#scan.isObject(value)) return false;
    const names = new Set<string>();
    this.#scan.members(value, (name) => names.add(name));
    return names.size === 2 && names.has("indices") && names.has("values");
  }

  #columns(value: number): void {
    if (!this.#scan.isObject(value)) return;
    this.#scan.members(value, (name, ids) => {
      if (name === "ids" && this.#scan.isArray(ids)) this.#scan.elements(ids, (id) => this.#id(id));
    });
  }

  #id(at: number): void {
    const text = this.#scan.text(at);
    const id = this.#scan.isString(at) ? uuidId(String(JSON.parse(text))) : numericId(text);
    if (id === undefined) this.#unclear ??= `${text.slice(0, 60)} is no id that the gate knows`;
    else if (this.#ids.has(id)) this.#isRepeated = true;
    else this.#ids.add(id);
  }

  #shardKey(at: number): void {
    if (this.#scan.isObject(at)) this.#unclear ??= "shard keys with a fallback are not followed";
    else if (this.#scan.isArray(at)) this.#scan.elements(at, (key) => this.#shardKeys.add(this.#scan.text(key)));
    else this.#shardKeys.add(this.#scan.text(at));
  }
}
