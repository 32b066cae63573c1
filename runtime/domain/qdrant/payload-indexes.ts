/** How Qdrant tells the index of a field: `payload_schema` of `GET /collections/…`. */
export interface ToldIndex {
  readonly data_type?: unknown;
  /** Where it was made with more than a type. */
  readonly params?: unknown;
}

/** Each indexed field, as making its index takes it: counts of points left out. */
export function definitionsOf(told: Readonly<Record<string, ToldIndex>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(told).map(([field, { data_type, params }]) => [field, params ?? data_type]));
}
