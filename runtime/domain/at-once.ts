/** Does `act` for every item, at most `limit` at a time. The first failure stops new ones; all that run are awaited. */
export async function atOnce<T>(limit: number, items: Iterable<T>, act: (item: T) => Promise<void>): Promise<void> {
  const rest = items[Symbol.iterator]();
  let failure: { readonly error: unknown } | undefined;
  const worker = async () => {
    for (let next = rest.next(); !next.done && failure === undefined; next = rest.next()) {
      try {
        await act(next.value);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
  if (failure !== undefined) throw failure.error;
}

/** Lets so many do something at a time; the others wait, in their order. */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #free: number;
  #ended: { readonly error: unknown } | undefined;

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  async take<T>(act: () => Promise<T>): Promise<T> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free -= 1;
    try {
      if (this.#ended !== undefined) throw this.#ended.error;
      return await act();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }

  /** Who has not begun does not begin any more. */
  end(error: unknown): void {
    this.#ended ??= { error };
  }
}
