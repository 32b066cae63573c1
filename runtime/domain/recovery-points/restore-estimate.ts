/** How long a restore takes, and a failover, before it is begun. */

/**
 * What one machine did (2 cores, bucket and Qdrant on it) with 200 MB in four collections and 1 GB in one; a prediction says that it
 * is made from these. Where there is little data and many payload indexes, Qdrant takes longer to load them.
 */
export const restoreRates = { bytesPerSecond: 65_000_000, secondsPerCollection: 0.1, secondsPerShard: 0.05 } as const;

export function predictedSeconds(size: {
  readonly bytes: number;
  readonly collections: number;
  readonly shards: number;
}): number {
  const { bytesPerSecond, secondsPerCollection, secondsPerShard } = restoreRates;
  return size.bytes / bytesPerSecond + size.collections * secondsPerCollection + size.shards * secondsPerShard;
}

/** From the command until clients are led here, beside what is restored: to start, look, claim, compare and open. */
const failoverAloneSeconds = 1.5;

/** A lease runs out while the region is made ready. */
export function predictedFailoverSeconds(times: {
  readonly restoreSeconds: number;
  readonly leaseSeconds: number;
}): number {
  return failoverAloneSeconds + Math.max(times.restoreSeconds, times.leaseSeconds);
}
