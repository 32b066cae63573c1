/** The writing client as a process of an estate; it has no part in what it measures. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { hasErrno } from "../../runtime/errno.ts";
import { DrError } from "../../runtime/errors.ts";
import { systemClock } from "../../runtime/time/system-clock.ts";
import { waitAtMost } from "../../runtime/time/wait-until.ts";
import { parseWriteLog, type WriteLogEntry } from "../domain/write-log.ts";
import type { WritingClient } from "../workflow/practise-disaster.ts";
import { findProcess, launchProcess, stopProcess } from "./local-process.ts";

const program = fileURLToPath(new URL("../processes/writing-client.ts", import.meta.url));
const pollMs = 25;

export async function startWritingClient({
  collections,
  endpoint,
  estate,
  folder,
}: {
  readonly estate: string;
  /** Where it keeps its record: outside both regions' disks. */
  readonly folder: string;
  readonly endpoint: { readonly url: string; readonly clientKey: string };
  readonly collections: readonly string[];
}): Promise<WritingClient> {
  const record = join(folder, "writes.ndjson");
  const spec = {
    estate,
    name: "client",
    command: "node",
    args: ["--disable-warning=ExperimentalWarning", program],
    env: {
      QDRANT_DR_CLIENT_URL: endpoint.url,
      QDRANT_DR_CLIENT_KEY: endpoint.clientKey,
      QDRANT_DR_CLIENT_COLLECTIONS: collections.join(","),
      QDRANT_DR_CLIENT_LOG: record,
    },
    folder,
    ports: [],
  };
  await launchProcess(spec);
  const read = async (): Promise<readonly WriteLogEntry[]> => {
    try {
      return parseWriteLog(await readFile(record, "utf8"));
    } catch (error) {
      // It has not written yet.
      if (hasErrno(error, "ENOENT")) return [];
      throw error;
    }
  };
  return {
    log: read,
    async until(isThere, withinMs) {
      const served = await waitAtMost(systemClock, { withinMs, everyMs: pollMs }, async () => {
        if (isThere(await read())) return true;
        if ((await findProcess(spec)) !== undefined) return false;
        const said = (await readFile(`${folder}.log`, "utf8")).trim().slice(-300);
        throw new DrError("PROCESS_FAILED", `the writing client ended: ${said}`, { hint: "run it again" });
      });
      if (served !== undefined) return;
      const failure = (await read()).findLast(({ kind }) => kind === "failed");
      throw new DrError(
        "UNREACHABLE",
        `the client was not served for ${withinMs / 1000} s: ${JSON.stringify(failure)}`,
        {
          hint: "`qdrant-dr status` shows both regions and where the endpoint leads",
        },
      );
    },
    stop: () => stopProcess(spec),
  };
}
