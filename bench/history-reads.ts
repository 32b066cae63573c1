/** What reading a history of 100,000 recovery points and ten million objects costs, for the `history` benchmark. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { HistoryReads } from "../test/support/estates/large-history.ts";

const program = fileURLToPath(new URL("history-reads-process.ts", import.meta.url));

export async function readLargeHistory(): Promise<HistoryReads> {
  const { stdout } = await promisify(execFile)(process.execPath, [program]);
  return JSON.parse(stdout) as HistoryReads;
}

const mostRequests = 100;
const mostMiB = 256;

export function areReadsWithinBars({ peakRssMiB, ...requests }: HistoryReads): boolean {
  return peakRssMiB <= mostMiB && Object.values(requests).every((count) => count <= mostRequests);
}
