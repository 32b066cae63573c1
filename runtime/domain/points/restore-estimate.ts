/** How long a restore takes, before it is begun. */

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
