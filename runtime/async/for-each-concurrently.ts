/** Calls `act` for every item, at most `limit` at a time. The first failure starts no new calls; all that run are awaited. */
export async function forEachConcurrently<T>(
  limit: number,
  items: Iterable<T>,
  act: (item: T) => Promise<void>,
): Promise<void> {
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
