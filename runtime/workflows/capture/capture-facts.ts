import type { CollectionFacts, NamedFacts } from "../../domain/recovery-points/collection-facts.ts";
import type { DataKey } from "../../domain/recovery-points/key.ts";
import type { OpenRepository } from "../../repository/repository.ts";

/** The facts that a capture names: those that it made and has not stored yet, and those that it read. */
export class CaptureFacts {
  readonly #repository: OpenRepository;
  readonly #known: Map<string, CollectionFacts>;
  readonly #unstored = new Map<string, { readonly key: DataKey; readonly facts: CollectionFacts }>();

  /** @param known those that this run read or stored before. */
  constructor(repository: OpenRepository, known: Map<string, CollectionFacts> = new Map()) {
    this.#repository = repository;
    this.#known = known;
  }

  /** The name of facts, which are stored when the capture stores anything. */
  name(key: DataKey, facts: CollectionFacts): string {
    const id = this.#repository.nameFacts(key, facts);
    if (!this.#known.has(id)) this.#unstored.set(id, { key, facts });
    return id;
  }

  async read(named: Pick<NamedFacts, "facts" | "key" | "name">): Promise<CollectionFacts> {
    const known = this.#known.get(named.facts) ?? this.#unstored.get(named.facts)?.facts;
    if (known !== undefined) return known;
    const facts = await this.#repository.readFacts(named);
    this.#known.set(named.facts, facts);
    return facts;
  }

  /** To be awaited before anything that names them is written. */
  async store(): Promise<void> {
    for (const [id, { facts, key }] of this.#unstored) {
      await this.#repository.createFacts(key, facts);
      this.#known.set(id, facts);
      this.#unstored.delete(id);
    }
  }
}
