/**
 * Writes of clients by chance from a seed, over REST: whole and partial upserts, payload, vectors, deletes, by ids and by filter, conditional,
 * in batches, and such that Qdrant refuses after it has done a part. Bodies are JSON as text, so that no digit of an id or payload is lost.
 */
import { seeded } from "../seeded.ts";

export interface ClientWrite {
  readonly method: "PUT" | "POST";
  readonly path: string;
  readonly body: string;
}

interface WrittenCollection {
  readonly name: string;
  /** Body of its creation. */
  readonly settings: object;
  readonly indexes: readonly { readonly field_name: string; readonly field_schema: string }[];
}

const small = { wal_config: { wal_capacity_mb: 1 } };

export const writtenCollections: readonly WrittenCollection[] = [
  {
    name: "plain",
    settings: { vectors: { size: 4, distance: "Euclid" }, shard_number: 1, ...small },
    indexes: [],
  },
  {
    name: "named",
    settings: {
      vectors: {
        a: { size: 4, distance: "Cosine" },
        b: { size: 3, distance: "Dot", datatype: "float16" },
        m: { size: 2, distance: "Dot", multivector_config: { comparator: "max_sim" } },
      },
      sparse_vectors: { s: {} },
      shard_number: 4,
      // Merges and graphs all the time: which segment a point lies in decides what Qdrant makes of a write that is not whole.
      optimizers_config: { default_segment_number: 2, indexing_threshold: 1, flush_interval_sec: 1 },
      ...small,
    },
    indexes: [{ field_name: "group", field_schema: "integer" }],
  },
];

/** Beyond what JavaScript's numbers hold, and as Qdrant writes them. */
const bigIds = ["9007199254740993", "18446744073709551615", "1234567890123456789"];

export class SeededWrites {
  readonly #random: () => number;
  readonly #ids: number;

  /** @param ids how many different ones there are: few are overwritten soon, which hides faults. */
  constructor(seed: number, ids = 400) {
    this.#random = seeded(seed);
    this.#ids = ids;
  }

  next(): ClientWrite {
    const name = this.#random() < 0.3 ? "plain" : "named";
    const at = `/collections/${name}/points`;
    const put = (path: string, body: string): ClientWrite => ({ method: "PUT", path: `${at}${path}?wait=true`, body });
    const post = (path: string, body: string): ClientWrite => ({
      method: "POST",
      path: `${at}${path}?wait=true`,
      body,
    });
    const chance = this.#random();
    if (chance < 0.22) return put("", `{"points":[${this.#points(name, "whole")}]}`);
    if (chance < 0.36) return put("", `{"points":[${this.#points(name, "part")}]}`);
    if (chance < 0.42) return put("", `{"points":[${this.#points(name, "wrong")}]}`);
    if (chance < 0.47) return put("", `{"points":[${this.#points(name, "whole")}],"update_filter":${this.#filter()}}`);
    if (chance < 0.6) {
      const [first, second] = [this.#operation(name), this.#operation(name)];
      return post("/batch", `{"operations":[${first},${second}]}`);
    }
    if (chance < 0.68) return post("/payload", `{"payload":${this.#payload()},${this.#which()}}`);
    if (chance < 0.73) return put("/payload", `{"payload":${this.#payload()},${this.#which()}}`);
    if (chance < 0.77) return post("/payload/delete", `{"keys":["big","tag"],${this.#which()}}`);
    if (chance < 0.8) return post("/payload/clear", this.#whichAlone());
    if (chance < 0.86) return put("/vectors", `{"points":[${this.#vectorsOfIds(name)}]}`);
    if (chance < 0.9 && name === "named") return post("/vectors/delete", `{"vector":["b","s"],${this.#which()}}`);
    return post("/delete", this.#whichAlone());
  }

  #int(below: number): number {
    return Math.floor(this.#random() * below);
  }

  #id(): string {
    const n = this.#int(this.#ids);
    const big = bigIds[n];
    if (big !== undefined) return big;
    return n % 5 === 0 ? `"00000000-0000-4000-8000-${String(n).padStart(12, "0")}"` : `${n}`;
  }

  #idList(most = 40): string {
    return Array.from({ length: 1 + this.#int(most) }, () => this.#id()).join(",");
  }

  #filter(): string {
    return `{"must":[{"key":"group","match":{"value":${this.#int(7)}}}]}`;
  }

  /** The points of a write, by ids or by filter, as members of its body. */
  #which(): string {
    return this.#random() < 0.3 ? `"filter":${this.#filter()}` : `"points":[${this.#idList()}]`;
  }

  #whichAlone(): string {
    return `{${this.#which()}}`;
  }

  #float(): string {
    return (this.#random() * 2 - 1).toFixed(3);
  }

  #vector(size: number): string {
    return `[${Array.from({ length: size }, () => this.#float()).join(",")}]`;
  }

  #payload(): string {
    const members = [
      `"group":${this.#int(7)}`,
      `"tag":"${["ä", "crab-🦀", "x".repeat(this.#int(300))][this.#int(3)]}"`,
      `"big":${["18446744073709551615", "-9223372036854775808", "1.0", "1e-7", "9007199254740993"][this.#int(5)]}`,
      `"list":[${this.#int(9)},null,{"deep":true}]`,
    ];
    return `{${members.filter(() => this.#random() < 0.7).join(",")}}`;
  }

  #namedVectors(names: readonly string[]): string {
    const of: Record<string, () => string> = {
      a: () => this.#vector(4),
      b: () => this.#vector(3),
      m: () => `[${Array.from({ length: 1 + this.#int(3) }, () => this.#vector(2)).join(",")}]`,
      s: () => `{"indices":[${this.#int(5)},${5 + this.#int(5)}],"values":[${this.#float()},${this.#float()}]}`,
    };
    return `{${names.map((name) => `"${name}":${of[name]?.()}`).join(",")}}`;
  }

  #someNames(): string[] {
    return ["a", "b", "m", "s"].filter(() => this.#random() < 0.5);
  }

  #points(name: string, kind: "whole" | "part" | "wrong"): string {
    const count = 1 + this.#int(30);
    const wrongAt = kind === "wrong" ? this.#int(count) : -1;
    return Array.from({ length: count }, (_, n) => {
      const isPart = kind === "part";
      let vector = name === "plain" ? this.#vector(4) : this.#namedVectors(isPart ? this.#someNames() : [..."abms"]);
      if (n === wrongAt) vector = name === "plain" ? "[1,2]" : `{"a":[1,2]}`;
      const payload = isPart && this.#random() < 0.5 ? "" : `,"payload":${this.#payload()}`;
      return `{"id":${this.#id()},"vector":${vector}${payload}}`;
    }).join(",");
  }

  #vectorsOfIds(name: string): string {
    return Array.from({ length: 1 + this.#int(10) }, () => {
      const vector = name === "plain" ? this.#vector(4) : this.#namedVectors(this.#someNames());
      return `{"id":${this.#id()},"vector":${vector}}`;
    }).join(",");
  }

  #operation(name: string): string {
    const chance = this.#random();
    if (chance < 0.4) return `{"upsert":{"points":[${this.#points(name, this.#random() < 0.5 ? "whole" : "part")}]}}`;
    if (chance < 0.6) return `{"set_payload":{"payload":${this.#payload()},${this.#which()}}}`;
    if (chance < 0.8) return `{"delete":{${this.#which()}}}`;
    return `{"overwrite_payload":{"payload":${this.#payload()},${this.#which()}}}`;
  }
}
