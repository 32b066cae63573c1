/**
 * Collections over the whole API of Qdrant, by chance from a seed: every kind of vector, datatype, distance, quantization, index and limit,
 * odd names and ids, and payloads with numbers that JavaScript's cannot hold. Points are JSON as text, so that no digit is lost here.
 */
import { seeded } from "./seeded.ts";

export interface OddCollection {
  readonly name: string;
  /** Body of its creation. */
  readonly settings: object;
  /** Its shard keys, as JSON; none of a collection that is sharded by itself. */
  readonly shardKeys: readonly string[];
  /** Those that are deleted again before there are points: they leave gaps among the shards' ids. */
  readonly deletedKeys: readonly string[];
  /** Field and schema of each payload index. */
  readonly indexes: readonly (readonly [field: string, schema: unknown])[];
  /** What is changed when all else is done: limits that would refuse it. */
  readonly patches: readonly object[];
  /** Bodies of upserts, as JSON. */
  readonly upserts: readonly string[];
  /** Upserts after the first capture, and ids that are deleted then, as JSON. */
  readonly laterUpserts: readonly string[];
  readonly laterDeletes: readonly string[];
}

export interface OddSystem {
  readonly collections: readonly OddCollection[];
  readonly aliases: readonly { readonly alias: string; readonly collection: string }[];
}

const oddNames = [
  "notes",
  "ноты",
  "crab-🦀",
  "with space",
  "100%41",
  "a.b.c",
  "a+b&c=d#e;f,g",
  "it's (odd) [1]",
  "CASE",
  "x".repeat(200),
  "-dash",
  "$HOME`~^{}@!",
];
const oddFields = ["tag", "a.b", "ключ", "list[].n", "with space", "__proto__", "constructor", "0"];
/** As Qdrant takes a name in the path of an index. */
const pathOf = (field: string) => (/[^\p{L}\d_.[\]-]/u.test(field) ? JSON.stringify(field) : field);
const oddVectorNames = ["text", "изображение", "with space", "v.1", "UPPER", "n".repeat(60)];
const oddNumbers = [
  "0",
  "-0.0",
  "1.0",
  "0.1",
  "1234567890123456789",
  "18446744073709551615",
  "-9223372036854775808",
  "9007199254740993",
  "1e300",
  "1e-7",
  "5e-324",
  "0.30000000000000004",
  "1e16",
  "123456789.125",
  "-1",
];
const oddTexts = [
  "",
  " ",
  "plain words of a text",
  "null",
  "日本語のテキスト",
  "é vs e\u0301",
  "\u0000",
  '\u0001\t\n\r"\\/',
  "👩‍👩‍👧‍👦",
  "\u2028\u2029",
  "1.0, 2e5",
  "\ufeff",
];

const oddShardKeys = [
  '"tenant"',
  '"арендатор 🦀"',
  '"a/b?c=d"',
  '" "',
  "0",
  "7",
  "9007199254740993",
  "18446744073709551615",
  '"18446744073709551615"',
];

class Chance {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = seeded(seed);
  }

  int(from: number, to: number): number {
    return from + Math.floor(this.#next() * (to - from + 1));
  }

  is(probability: number): boolean {
    return this.#next() < probability;
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.int(0, choices.length - 1)] as T;
  }

  some<T>(choices: readonly T[], most: number): T[] {
    const left = [...choices];
    return Array.from({ length: this.int(0, Math.min(most, left.length)) }, () =>
      left.splice(this.int(0, left.length - 1), 1),
    ).flat();
  }

  /** Each member is there by chance. */
  partOf(members: Readonly<Record<string, () => unknown>>): Record<string, unknown> {
    return Object.fromEntries(
      Object.entries(members).flatMap(([name, value]) => (this.is(0.4) ? [[name, value()]] : [])),
    );
  }

  float(): number {
    if (this.is(0.1)) return this.of([0, -0, 1, -1, 1e-40, 1e-7, 65_504, 0.1]);
    return Math.fround(this.#next() * 2 - 1);
  }
}

type VectorKind = {
  readonly name: string;
  readonly kind: "dense" | "multi" | "sparse";
  readonly size: number;
  readonly isByte: boolean;
};

export function oddSystem(seed: number): OddSystem {
  const chance = new Chance(seed);
  const names = [...new Set(Array.from({ length: chance.int(1, 3) }, () => chance.of(oddNames)))];
  const collections = names.map((name) => oddCollection(chance, name));
  const aliases = chance.is(0.5)
    ? [{ alias: chance.of(["current", "псевдоним", "a b"]), collection: chance.of(names) }]
    : [];
  return { collections, aliases };
}

function oddCollection(chance: Chance, name: string): OddCollection {
  const { kinds, ...vectors } = oddVectors(chance);
  const settings = {
    ...vectors,
    wal_config: { wal_capacity_mb: 1, ...chance.partOf({ wal_segments_ahead: () => chance.int(0, 2) }) },
    ...chance.partOf({
      shard_number: () => chance.int(1, 3),
      on_disk_payload: () => chance.is(0.5),
      hnsw_config: () => hnsw(chance),
      optimizers_config: () => optimizers(chance),
      quantization_config: () => quantization(chance),
      metadata: () => ({ owner: "someone", share: 0.5, nested: { list: [1, "two", null, true] } }),
      replication_factor: () => 1,
      write_consistency_factor: () => 1,
    }),
  };
  const keys = chance.is(0.2) ? chance.some(oddShardKeys, 4) : [];
  const deletedKeys = keys.length > 1 && chance.is(0.5) ? keys.slice(0, 1) : [];
  const shardKeys = keys.filter((key) => !deletedKeys.includes(key));
  const count = keys.length > 0 && shardKeys.length === 0 ? 0 : chance.of([0, 1, 7, 40, 150]);
  const points = Array.from({ length: count }, (_, n) => oddPoint(chance, oddId(chance, n), kinds));
  const later = Array.from({ length: chance.int(0, 10) }, (_, n) => oddPoint(chance, oddId(chance, 1_000 + n), kinds));
  const ids = points.map(({ id }) => id);
  return {
    name,
    settings: keys.length === 0 ? settings : { ...settings, sharding_method: "custom" },
    shardKeys: keys,
    deletedKeys,
    indexes: chance.some(oddFields, 4).map((field) => [pathOf(field), oddIndex(chance)] as const),
    patches: oddPatches(chance),
    upserts: inBatches(
      chance,
      shardKeys,
      points.map(({ text }) => text),
    ),
    laterUpserts: inBatches(
      chance,
      shardKeys,
      later.map(({ text }) => text),
    ),
    laterDeletes: chance.some(ids, 5),
  };
}

function oddVectors(chance: Chance) {
  const shape = chance.of(["one", "one", "named", "named", "sparse", "none"] as const);
  const kinds: VectorKind[] = [];
  const dense = (name: string) => {
    const { settings, ...kind } = denseVector(chance);
    kinds.push({ name, ...kind });
    return settings;
  };
  const named = shape === "named" ? chance.some(oddVectorNames, 4) : [];
  const vectors = shape === "one" ? dense("") : Object.fromEntries(named.map((name) => [name, dense(name)]));
  const sparse = shape === "sparse" || chance.is(0.3) ? ["sparse", "разреж"].slice(0, chance.int(1, 2)) : [];
  for (const name of sparse) kinds.push({ name, kind: "sparse", size: 0, isByte: false });
  const sparse_vectors = Object.fromEntries(
    sparse.map((name) => [
      name,
      chance.partOf({
        index: () =>
          chance.partOf({
            on_disk: () => chance.is(0.5),
            full_scan_threshold: () => 100,
            datatype: () => chance.of(["float32", "float16", "uint8"]),
          }),
        modifier: () => chance.of(["none", "idf"]),
      }),
    ]),
  );
  return { vectors, kinds, ...(sparse.length === 0 ? {} : { sparse_vectors }) };
}

function denseVector(chance: Chance) {
  const size = chance.of([1, 2, 3, 16, 64, 1_024]);
  const datatype = chance.of([undefined, "float32", "float16", "uint8"] as const);
  const isMulti = chance.is(0.25);
  const settings = {
    size,
    distance: chance.of(["Cosine", "Euclid", "Dot", "Manhattan"]),
    ...(datatype === undefined ? {} : { datatype }),
    ...(isMulti ? { multivector_config: { comparator: "max_sim" } } : {}),
    ...chance.partOf({
      on_disk: () => chance.is(0.5),
      hnsw_config: () => hnsw(chance),
      quantization_config: () => quantization(chance),
    }),
  };
  return { settings, kind: isMulti ? ("multi" as const) : ("dense" as const), size, isByte: datatype === "uint8" };
}

function hnsw(chance: Chance): object {
  return chance.partOf({
    m: () => chance.int(0, 32),
    ef_construct: () => chance.int(4, 200),
    full_scan_threshold: () => chance.int(10, 20_000),
    max_indexing_threads: () => chance.int(0, 2),
    on_disk: () => chance.is(0.5),
    payload_m: () => chance.int(0, 16),
  });
}

function optimizers(chance: Chance): object {
  return chance.partOf({
    deleted_threshold: () => chance.of([0.1, 0.25, 1]),
    vacuum_min_vector_number: () => chance.int(100, 2_000),
    default_segment_number: () => chance.int(0, 4),
    max_segment_size: () => chance.int(1, 200_000),
    memmap_threshold: () => chance.int(0, 1_000),
    indexing_threshold: () => chance.of([0, 1, 10, 20_000]),
    flush_interval_sec: () => chance.int(1, 60),
    max_optimization_threads: () => chance.of([1, 2, "auto"]),
  });
}

function quantization(chance: Chance): object {
  const always_ram = chance.of([true, false]);
  return chance.of([
    { scalar: { type: "int8", quantile: 0.99, always_ram } },
    { scalar: { type: "int8" } },
    { product: { compression: chance.of(["x4", "x8", "x16", "x32", "x64"]), always_ram } },
    { binary: { always_ram } },
    {
      binary: {
        encoding: chance.of(["one_bit", "two_bits", "one_and_half_bits"]),
        query_encoding: chance.of(["default", "binary", "scalar4bits", "scalar8bits"]),
      },
    },
  ]);
}

function oddIndex(chance: Chance): unknown {
  const on_disk = () => chance.is(0.5);
  const is_principal = () => chance.is(0.5);
  const is_tenant = () => chance.is(0.5);
  const type = chance.of(["keyword", "integer", "float", "geo", "text", "bool", "datetime", "uuid"] as const);
  if (chance.is(0.3)) return type;
  switch (type) {
    case "keyword":
    case "uuid":
      return { type, ...chance.partOf({ is_tenant, on_disk }) };
    case "integer":
      return {
        type,
        ...chance.of([
          {},
          { lookup: true, range: true },
          { lookup: false, range: true },
          { lookup: true, range: false },
        ]),
        ...chance.partOf({ is_principal, on_disk }),
      };
    case "float":
    case "datetime":
      return { type, ...chance.partOf({ is_principal, on_disk }) };
    case "geo":
    case "bool":
      return { type, ...chance.partOf({ on_disk }) };
    case "text":
      return {
        type,
        tokenizer: chance.of(["prefix", "whitespace", "word", "multilingual"]),
        ...chance.partOf({
          lowercase: () => chance.is(0.5),
          min_token_len: () => 1,
          max_token_len: () => 30,
          phrase_matching: () => chance.is(0.5),
          ascii_folding: () => chance.is(0.5),
          stopwords: () => chance.of(["english", { languages: ["german"], custom: ["ß"] }]),
          stemmer: () => ({ type: "snowball", language: "english" }),
          on_disk,
        }),
      };
  }
}

function oddPatches(chance: Chance): object[] {
  const strict = () => ({
    strict_mode_config: {
      enabled: chance.is(0.7),
      ...chance.partOf({
        max_query_limit: () => chance.int(5, 500),
        max_timeout: () => chance.int(20, 60),
        unindexed_filtering_retrieve: () => chance.is(0.5),
        unindexed_filtering_update: () => chance.is(0.5),
        search_max_hnsw_ef: () => 500,
        search_allow_exact: () => chance.is(0.5),
        search_max_oversampling: () => 2.5,
        upsert_max_batchsize: () => chance.int(1, 10),
        max_collection_vector_size_bytes: () => 1_000_000_000,
        max_collection_payload_size_bytes: () => 1_000_000_000,
        read_rate_limit: () => chance.int(2_000, 9_000),
        write_rate_limit: () => chance.int(500, 900),
        max_points_count: () => 1_000_000,
        max_payload_index_count: () => chance.int(0, 3),
        filter_max_conditions: () => chance.int(1, 20),
        condition_max_size: () => 100,
        multivector_config: () => ({}),
        sparse_config: () => ({}),
      }),
    },
  });
  return [
    ...(chance.is(0.3) ? [{ params: { read_fan_out_factor: chance.int(0, 2) } }] : []),
    ...(chance.is(0.4) ? [strict()] : []),
    ...(chance.is(0.2) ? [{ metadata: { added: 1.5, owner: null } }] : []),
    ...(chance.is(0.2) ? [{ optimizers_config: { indexing_threshold: chance.int(0, 50_000) } }] : []),
  ];
}

function oddId(chance: Chance, n: number): string {
  const hex = (n * 7_919 + 1).toString(16).padStart(12, "0");
  if (chance.is(0.3)) return `"5c56c793-69f3-4fbf-87e6-${hex}"`;
  if (chance.is(0.2)) return String(18_446_744_073_709_551_615n - BigInt(n));
  return chance.is(0.2) ? String(9_007_199_254_740_993n + BigInt(n)) : String(n);
}

function oddPoint(
  chance: Chance,
  id: string,
  kinds: readonly VectorKind[],
): { readonly id: string; readonly text: string } {
  const [unnamed] = kinds.filter(({ name }) => name === "");
  const others = kinds.filter(({ name }) => name !== "");
  const named = others
    .filter(() => chance.is(0.8))
    .map((kind) => `${JSON.stringify(kind.name)}:${vectorText(chance, kind)}`);
  const vector =
    unnamed !== undefined && others.length === 0
      ? vectorText(chance, unnamed)
      : `{${[...(unnamed === undefined ? [] : [`"":${vectorText(chance, unnamed)}`]), ...named].join(",")}}`;
  const payload = chance.is(0.9) ? `,"payload":${payloadText(chance)}` : "";
  return { id, text: `{"id":${id},"vector":${vector}${payload}}` };
}

function vectorText(chance: Chance, { isByte, kind, size }: VectorKind): string {
  if (kind === "sparse") {
    const indices = [
      ...new Set(Array.from({ length: chance.int(0, 6) }, () => chance.of([0, 1, 2, 77, 4_294_967_295, 123_456]))),
    ];
    return JSON.stringify({ indices, values: indices.map(() => (isByte ? chance.int(0, 255) : chance.float() + 2)) });
  }
  const row = () => Array.from({ length: size }, () => (isByte ? chance.int(0, 255) : chance.float()));
  return JSON.stringify(kind === "multi" ? Array.from({ length: chance.int(1, 4) }, row) : row());
}

function payloadText(chance: Chance): string {
  const fields = chance.some(
    oddFields.filter((field) => !field.includes("[") && !field.includes(".")),
    5,
  );
  const members = fields.map((field) => `${JSON.stringify(field)}:${valueText(chance, 3)}`);
  if (chance.is(0.3))
    members.push(`"a":{"b":${valueText(chance, 1)}}`, `"list":[{"n":${chance.of(oddNumbers)}},{"n":null},{}]`);
  if (chance.is(0.05)) members.push(`"deep":${"[".repeat(60)}1.0${"]".repeat(60)}`);
  if (chance.is(0.02)) members.push(`"huge":${JSON.stringify("long text ".repeat(30_000))}`);
  if (chance.is(0.1)) members.push('"":0', '"geo":{"lon":13.4,"lat":-0.0}', '"at":"2026-02-28T23:59:60Z"');
  return `{${members.join(",")}}`;
}

function valueText(chance: Chance, depth: number): string {
  const kind = chance.int(0, depth > 0 ? 7 : 5);
  if (kind === 0) return chance.of(["null", "true", "false", "[]", "{}"]);
  if (kind <= 2) return chance.of(oddNumbers);
  if (kind <= 4) return JSON.stringify(chance.of(oddTexts));
  if (kind === 5) return JSON.stringify(`5c56c793-69f3-4fbf-87e6-c4bf54c2${chance.int(1000, 9999)}`);
  if (kind === 6) return `[${Array.from({ length: chance.int(0, 4) }, () => valueText(chance, depth - 1)).join(",")}]`;
  const members = chance.some(oddTexts, 3).map((name) => `${JSON.stringify(name)}:${valueText(chance, depth - 1)}`);
  return `{${members.join(",")}}`;
}

/** Each batch goes to one shard key, where there are any. */
function inBatches(chance: Chance, shardKeys: readonly string[], points: readonly string[]): string[] {
  const batches: string[] = [];
  for (let from = 0; from < points.length; from += 25) {
    const key = shardKeys.length === 0 ? "" : `,"shard_key":${chance.of(shardKeys)}`;
    batches.push(`{"points":[${points.slice(from, from + 25).join(",")}]${key}}`);
  }
  return batches;
}
