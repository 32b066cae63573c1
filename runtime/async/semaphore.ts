/** Lets `permits` calls run at a time; the others wait, in their order. */
export class Semaphore {
  readonly #waiting: (() => void)[] = [];
  #free: number;
  #closed: { readonly error: unknown } | undefined;

  constructor(permits: number) {
    this.#free = permits;
  }

  async run<T>(act: () => Promise<T>): Promise<T> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free -= 1;
    try {
      if (this.#closed !== undefined) throw this.#closed.error;
      return await act();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }

  /** Calls that have not begun are refused with this error from now on, also those that wait; those that run go on. */
  close(error: unknown): void {
    this.#closed ??= { error };
  }
}
