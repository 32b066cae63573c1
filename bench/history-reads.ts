/** What reading a history of 100,000 recovery points and ten million objects costs, for the `history` benchmark. */
import { type HistoryReads, measureHistoryReads } from "../test/support/estates/large-history.ts";

export function readLargeHistory(): Promise<HistoryReads> {
  return measureHistoryReads(100_000);
}

const mostRequests = 100;
const mostMiB = 256;

export function areReadsWithinBars({ peakRssMiB, ...requests }: HistoryReads): boolean {
  return peakRssMiB <= mostMiB && Object.values(requests).every((count) => count <= mostRequests);
}
