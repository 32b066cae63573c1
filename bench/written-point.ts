/** A point as the writers of the benchmarks write it, with a vector of its own. */
export function writtenPoint(id: number, dimensions: number, payload: Readonly<Record<string, unknown>> = {}) {
  const vector = Array.from({ length: dimensions }, () => Math.round(Math.random() * 20_000 - 10_000) / 10_000);
  return { id, payload: { id, at: Date.now(), ...payload }, vector };
}
