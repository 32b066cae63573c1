/** How long a restore takes, and a failover, before it is begun. */
import { z } from "zod";

export interface RestoreRates {
  readonly bytesPerSecond: number;
  readonly secondsPerCollection: number;
  readonly secondsPerShard: number;
}

/**
 * What one machine did (2 cores, bucket and Qdrant on it) with 200 MB in four collections and 1 GB in one; what holds until a region
 * has restored something itself. Where there is little data and many payload indexes, Qdrant takes longer to load them.
 */
export const usualRates: RestoreRates = {
  bytesPerSecond: 65_000_000,
  secondsPerCollection: 0.1,
  secondsPerShard: 0.05,
};

const count = z.number().int().nonnegative();

/** What a restore took that ended well. */
export const measuredRestoreSchema = z.object({
  bytes: count,
  collections: count,
  shards: count,
  seconds: z
    .number()
    .nonnegative()
    .max(30 * 24 * 3600),
});
export type MeasuredRestore = z.infer<typeof measuredRestoreSchema>;
export type RestoreSize = Pick<MeasuredRestore, "bytes" | "collections" | "shards">;

export function predictedSeconds(size: RestoreSize, rates: RestoreRates): number {
  const { ofBytes, ofPieces } = partsOf(size, rates);
  return ofBytes + ofPieces;
}

/** Two parts that grow apart: with the bytes, and with how many pieces they come in. */
function partsOf({ bytes, collections, shards }: RestoreSize, rates: RestoreRates) {
  return {
    ofBytes: bytes / rates.bytesPerSecond,
    ofPieces: collections * rates.secondsPerCollection + shards * rates.secondsPerShard,
  };
}

/** How much the usual rates count beside one measured restore: enough that what nothing was measured of keeps its usual rate. */
const weightOfUsual = 0.001;
/** Beyond that, something other than the region was measured. */
const mostFactor = 50;
/** A restore that took less is no measurement. */
const leastSeconds = 0.001;

/**
 * The rates that fit best what a region's restores took: both parts of the usual ones are stretched until the relative errors are least.
 * Small restores tell what a piece costs, large ones what a byte does.
 */
export function calibratedRates(measured: readonly MeasuredRestore[]): RestoreRates {
  // Normal equations of least squares for the two factors, each drawn to 1.
  let [bb, bp, pp] = [weightOfUsual, 0, weightOfUsual];
  let [bs, ps] = [weightOfUsual, weightOfUsual];
  for (const restore of measured) {
    if (restore.seconds < leastSeconds) continue;
    const { ofBytes, ofPieces } = partsOf(restore, usualRates);
    const [b, p] = [ofBytes / restore.seconds, ofPieces / restore.seconds];
    bb += b * b;
    bp += b * p;
    pp += p * p;
    bs += b;
    ps += p;
  }
  const determinant = bb * pp - bp * bp;
  const within = (factor: number) => Math.min(mostFactor, Math.max(1 / mostFactor, factor));
  const bytesFactor = within((bs * pp - ps * bp) / determinant);
  const piecesFactor = within((ps * bb - bs * bp) / determinant);
  return {
    bytesPerSecond: usualRates.bytesPerSecond / bytesFactor,
    secondsPerCollection: usualRates.secondsPerCollection * piecesFactor,
    secondsPerShard: usualRates.secondsPerShard * piecesFactor,
  };
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
