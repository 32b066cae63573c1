/**
 * Who may write what at the same time: everything, a collection, or some of its points. Whoever asks later for the same waits until the
 * one before has let go; what has nothing in common goes on.
 */

export type WriteScope =
  | { readonly of: "everything" }
  | { readonly of: "collection"; readonly collection: string }
  | { readonly of: "points"; readonly collection: string; readonly ids: readonly string[] };

/** One who holds, or waits. */
interface Held {
  readonly released: Promise<void>;
}

class Level {
  readonly #all = new Set<Held>();
  #exclusive: Held | undefined;

  get isIdle(): boolean {
    return this.#all.size === 0;
  }

  /** What must be released before this one holds it alone. */
  alone(held: Held): Held[] {
    const before = [...this.#all];
    this.#exclusive = held;
    this.#all.add(held);
    return before;
  }

  /** What must be released before this one shares it. */
  shared(held: Held): Held[] {
    this.#all.add(held);
    return this.#exclusive === undefined ? [] : [this.#exclusive];
  }

  release(held: Held): void {
    this.#all.delete(held);
    if (this.#exclusive === held) this.#exclusive = undefined;
  }
}

export class WriteLocks {
  readonly #everything = new Level();
  readonly #collections = new Map<string, Level>();
  /** The last one who asked for each point. */
  readonly #points = new Map<string, Held>();

  /** Returns when it is held, with what lets go of it. */
  async lock(scope: WriteScope): Promise<() => void> {
    const { promise: released, resolve } = Promise.withResolvers<void>();
    const held: Held = { released };
    const before = this.#enter(held, scope);
    await Promise.all(before.map((other) => other.released));
    return () => {
      this.#leave(held, scope);
      resolve();
    };
  }

  #enter(held: Held, scope: WriteScope): Held[] {
    if (scope.of === "everything") return this.#everything.alone(held);
    const before = this.#everything.shared(held);
    const level = this.#collections.get(scope.collection) ?? new Level();
    this.#collections.set(scope.collection, level);
    if (scope.of === "collection") return [...before, ...level.alone(held)];
    before.push(...level.shared(held));
    for (const id of scope.ids) {
      const key = keyOf(scope.collection, id);
      const last = this.#points.get(key);
      if (last !== undefined) before.push(last);
      this.#points.set(key, held);
    }
    return before;
  }

  #leave(held: Held, scope: WriteScope): void {
    this.#everything.release(held);
    if (scope.of === "everything") return;
    const level = this.#collections.get(scope.collection);
    level?.release(held);
    if (level?.isIdle === true) this.#collections.delete(scope.collection);
    if (scope.of === "collection") return;
    for (const id of scope.ids) {
      const key = keyOf(scope.collection, id);
      if (this.#points.get(key) === held) this.#points.delete(key);
    }
  }
}

/** No id begins with what a name of a collection could end with: ids are digits, or stand in quotes. */
function keyOf(collection: string, id: string): string {
  return `${id} ${collection}`;
}
