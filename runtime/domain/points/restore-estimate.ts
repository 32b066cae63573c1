/** How long a restore takes, and a failover, before it is begun. */

/** What one machine did (2 cores, bucket and Qdrant on it); a prediction says that it is made from these. */
export const restoreRates = { bytesPerSecond: 40_000_000, secondsPerCollection: 0.5, secondsPerShard: 0.3 } as const;

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
