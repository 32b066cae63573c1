/** One replica per shard: the one that was read last time, whose versions can be compared, or else the first. */
export function chooseReplicas<Replica extends { readonly id: number; readonly peer: number }>(
  replicas: readonly Replica[],
  before: readonly { readonly id: number; readonly peer: number }[] = [],
): Replica[] {
  const chosen = new Map<number, Replica>();
  for (const replica of replicas) {
    const wasRead = before.some(({ id, peer }) => id === replica.id && peer === replica.peer);
    if (wasRead || !chosen.has(replica.id)) chosen.set(replica.id, replica);
  }
  return [...chosen.values()].sort((a, b) => a.id - b.id);
}
