/**
 * A Qdrant whose writes are told in a journal, one after another: what each left is found by comparing all points before and after it. So
 * nothing of the gate's own way to find it is needed, and nothing is missed.
 */

import type { Qdrant } from "../../../runtime/adapters/qdrant/qdrant.ts";
import type { ExactJson } from "../../../runtime/domain/exact-json.ts";
import type { JournalEntry } from "../../../runtime/domain/journal/entry.ts";
import type { JournalWriter } from "../../../runtime/repository/journal/journal-writer.ts";
import type { ClientWrite } from "./seeded-writes.ts";
import { type AskedServer, ask, told, toldPoints } from "./told-points.ts";

export class RecordedSource {
  readonly #server: AskedServer;
  readonly #database: Qdrant;
  readonly #writer: JournalWriter;
  #waiting: JournalEntry[] = [];
  readonly #known = new Map<string, Map<string, string>>();
  refused = 0;

  constructor(server: AskedServer, database: Qdrant, writer: JournalWriter) {
    this.#server = server;
    this.#database = database;
    this.#writer = writer;
  }

  /** The collection as it is now, all of it. */
  async tellCollection(collection: string): Promise<void> {
    const { config, payloadIndexes } = await this.#database.describe(collection);
    this.#tell({
      kind: "collection",
      at: at(),
      collection,
      config: config as ExactJson,
      indexes: payloadIndexes as Record<string, ExactJson>,
    });
    this.#known.set(collection, this.#known.get(collection) ?? new Map());
  }

  tell(entry: JournalEntry): void {
    if (entry.kind === "collection-deleted") this.#known.delete(entry.collection);
    this.#tell(entry);
  }

  async write({ body, method, path }: ClientWrite): Promise<void> {
    const collection = decodeURIComponent(path.split("/")[2] ?? "");
    const before = this.#known.get(collection) ?? new Map<string, string>();
    const { ok } = await ask(this.#server, method, path, body);
    if (!ok) this.refused += 1;
    const now = await toldPoints(this.#server, collection);
    this.#known.set(collection, now);
    const changed = [...now].filter(([id, point]) => before.get(id) !== point);
    const gone = [...before.keys()].filter((id) => !now.has(id));
    if (changed.length + gone.length === 0) return;
    const ids = [...changed.map(([id]) => id), ...gone].map((id) => id.split(" ")[1] ?? "");
    const points = changed.map(([, point]) => point);
    this.#tell({ kind: "points", at: at(), collection, isComplete: false, ids, points });
  }

  /** Stores what was told since the last time as one object. */
  async flush(): Promise<void> {
    const entries = this.#waiting;
    this.#waiting = [];
    if (entries.length > 0) await this.#writer.append(entries);
  }

  async request(method: string, path: string, body?: object): Promise<void> {
    await told(this.#server, method, path, body === undefined ? undefined : JSON.stringify(body));
  }

  #tell(entry: JournalEntry): void {
    this.#waiting.push(entry);
  }
}

function at(): string {
  return new Date().toISOString();
}
