/**
 * A client that never stops: it writes numbered points, one at a time, and records what the server told it. It never
 * repeats a number: after a failure, whether the write happened is unknown, and stays so. Ends at SIGTERM or SIGINT.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { z } from "zod";
import { headerKeySchema } from "../../runtime/domain/header-key.ts";
import { addressOf, requestUrl, serverUrlSchema } from "../../runtime/domain/server-address.ts";
import { DrError, exitCodes, toDrError } from "../../runtime/errors.ts";
import { pause } from "../../runtime/time/pause.ts";
import { systemClock } from "../../runtime/time/system-clock.ts";
import { embeddingDimensions } from "../domain/text-embedding.ts";
import type { WriteLogEntry } from "../domain/write-log.ts";

/** Far above the ids of the workspace's own points. */
const firstNumber = 1_000_000_000;
const requestTimeoutMs = 2_000;
const pauseAfterFailureMs = 50;
const readBackEvery = 20;
const failureLineEveryMs = 1_000;

const settingsSchema = z
  .object({
    QDRANT_DR_CLIENT_URL: serverUrlSchema,
    QDRANT_DR_CLIENT_KEY: headerKeySchema.min(1),
    QDRANT_DR_CLIENT_COLLECTIONS: z
      .string()
      .transform((names) => names.split(",").map((name) => name.trim()))
      .pipe(z.array(z.string().min(1)).min(1)),
    QDRANT_DR_CLIENT_LOG: z.string().min(1),
    QDRANT_DR_CLIENT_RATE: z.coerce.number().positive().max(1_000).default(40),
  })
  .transform((settings) => ({
    url: settings.QDRANT_DR_CLIENT_URL,
    key: settings.QDRANT_DR_CLIENT_KEY,
    collections: settings.QDRANT_DR_CLIENT_COLLECTIONS,
    log: settings.QDRANT_DR_CLIENT_LOG,
    writesPerSecond: settings.QDRANT_DR_CLIENT_RATE,
  }));

type Settings = z.infer<typeof settingsSchema>;

interface NumberedWrite {
  readonly collection: string;
  readonly id: number;
}

interface FailureCount {
  readonly last: NumberedWrite & { readonly at: number };
  readonly recordedAt: number;
  readonly unrecorded: number;
}

/** The log on disk: a line is with the operating system when the call returns, and survives the client's own death. */
class LogFile {
  readonly #file: number;
  readonly #failures = new Map<string, FailureCount>();

  constructor(path: string) {
    try {
      // Refuses the log of another run: its numbers would be used twice.
      this.#file = openSync(path, "ax");
    } catch (error) {
      throw new DrError("SETTING_INVALID", `the write log cannot be created (${(error as Error).message})`, {
        hint: "name a file that does not exist, in a folder that does",
        cause: error,
      });
    }
  }

  add(kind: "acknowledged" | "readBack", { collection, id }: NumberedWrite): void {
    this.#append({ at: Date.now(), kind, collection, id });
  }

  addFailure(write: NumberedWrite, error: string): void {
    const { recordedAt = Number.NEGATIVE_INFINITY, unrecorded = 0 } = this.#failures.get(error) ?? {};
    const at = Date.now();
    const failure = { last: { ...write, at }, recordedAt, unrecorded: unrecorded + 1 };
    this.#failures.set(error, failure);
    if (at - recordedAt >= failureLineEveryMs) this.#record(error, failure);
  }

  close(): void {
    for (const [error, failure] of this.#failures) if (failure.unrecorded > 0) this.#record(error, failure);
    closeSync(this.#file);
  }

  #record(error: string, { last, unrecorded }: FailureCount): void {
    this.#append({ at: last.at, kind: "failed", collection: last.collection, id: last.id, error, count: unrecorded });
    this.#failures.set(error, { last, recordedAt: last.at, unrecorded: 0 });
  }

  #append(entry: WriteLogEntry): void {
    writeSync(this.#file, `${JSON.stringify(entry)}\n`);
  }
}

/** One after the other, round robin over the collections, until it is told to stop. */
async function writeUntil(stop: AbortSignal, settings: Settings, log: LogFile): Promise<void> {
  const interval = 1_000 / settings.writesPerSecond;
  let dueAt = performance.now();
  let isAfterFailure = false;
  for (let count = 0; !stop.aborted; count++) {
    const collection = settings.collections[count % settings.collections.length] ?? "";
    const write = { collection, id: firstNumber + count };
    const writtenAt = performance.now();
    try {
      await put(settings, write);
      log.add("acknowledged", write);
      if (isAfterFailure || count % readBackEvery === 0) {
        await readBack(settings, write);
        log.add("readBack", write);
      }
      isAfterFailure = false;
    } catch (error) {
      log.addFailure(write, reasonOf(error));
      isAfterFailure = true;
      await pause(systemClock, pauseAfterFailureMs, stop);
    }
    // After an outage it does not make up for missed writes: they were never meant.
    dueAt = Math.max(dueAt + interval, writtenAt);
    await pause(systemClock, dueAt - performance.now(), stop);
  }
}

async function put(settings: Settings, { collection, id }: NumberedWrite): Promise<void> {
  const payload = { number: id, writtenAt: new Date().toISOString(), by: "writing-client" };
  await request(settings, "PUT", `/collections/${encodeURIComponent(collection)}/points?wait=true`, {
    points: [{ id, vector: vectorOf(id), payload }],
  });
}

const pointSchema = z.object({ result: z.object({ payload: z.object({ number: z.number() }) }) });

async function readBack(settings: Settings, { collection, id }: NumberedWrite): Promise<void> {
  const answer = await request(settings, "GET", `/collections/${encodeURIComponent(collection)}/points/${id}`);
  const point = pointSchema.safeParse(JSON.parse(answer));
  if (point.data?.result.payload.number !== id) throw new Error("read back: another point than was written");
}

/** The answer's text; throws unless its status is 200. Connections are kept and used again by `fetch` itself. */
async function request({ url, key }: Settings, method: "PUT" | "GET", path: string, body?: object): Promise<string> {
  const answer = await fetch(requestUrl(addressOf(url), path), {
    method,
    headers: { "api-key": key, "content-type": "application/json" },
    signal: AbortSignal.timeout(requestTimeoutMs),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`${method} answered ${answer.status}: ${text.slice(0, 200)}`);
  return text;
}

/** What failed, the same words for the same reason: `ECONNREFUSED`, not which attempt it was. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `no answer in ${requestTimeoutMs / 1_000} s`;
  const cause = error.cause as NodeJS.ErrnoException | undefined;
  // Qdrant says how long it took, which differs from one answer to the next.
  return (cause?.code ?? cause?.message ?? error.message).replace(/"time":[\d.e-]+/, '"time":0');
}

/** Numbers from -1 to 1 that follow from the id alone (SplitMix32). */
function vectorOf(id: number): number[] {
  let state = id | 0;
  return Array.from({ length: embeddingDimensions }, () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return Math.fround(((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 31 - 1);
  });
}

async function main(): Promise<void> {
  const settings = settingsSchema.safeParse(process.env);
  if (!settings.success) {
    process.stderr.write(`the writing client's settings are invalid:\n${z.prettifyError(settings.error)}\n`);
    process.exitCode = exitCodes.usage;
    return;
  }
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stop.abort());
  try {
    const log = new LogFile(settings.data.log);
    await writeUntil(stop.signal, settings.data, log);
    log.close();
  } catch (error) {
    const { message, exitCode } = toDrError(error);
    process.stderr.write(`the writing client ends: ${message}\n`);
    process.exitCode = exitCode;
  }
}

await main();
