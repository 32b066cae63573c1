/** Entry of a sealing thread: names chunks and seals frames of them, or opens frames and checks their chunks. */
import { parentPort } from "node:worker_threads";
import type { SecretKey } from "../../domain/recovery-points/key.ts";
import { freeAtOnce, nameOf, nameOfFrames, sealInto, unseal } from "../../domain/recovery-points/sealing.ts";
import { DrError } from "../../errors.ts";
import { endPack, type PackEnd } from "./pack-end.ts";

/** A stretch of bytes. */
export interface Span {
  readonly start: number;
  readonly length: number;
}

export interface SealTask {
  readonly do: "seal";
  /** Number of a key that the thread was given. */
  readonly key: number;
  readonly input: SharedArrayBuffer;
  /** Chunks of the input that are to be named. */
  readonly chunks: readonly Span[];
  /** Stretches of the input that are to be sealed. */
  readonly frames: readonly Span[];
  readonly output: SharedArrayBuffer;
}

export interface SealAnswer {
  readonly names: readonly string[];
  /** Bytes of each sealed frame in the output, one behind the other. */
  readonly sealedLengths: readonly number[];
}

/** A chunk that is taken from an opened frame. */
export interface WantedChunk extends Span {
  readonly name: string;
  /** Where it goes in the output. */
  readonly to: number;
}

export interface OpenTask {
  readonly do: "open";
  /** Sealed frames, where each says. */
  readonly bytes: Uint8Array;
  readonly frames: readonly {
    readonly key: number;
    readonly offset: number;
    readonly length: number;
    /** Bytes that it opens to. */
    readonly size: number;
    readonly chunks: readonly WantedChunk[];
  }[];
  readonly output: SharedArrayBuffer;
}

/** Ends the pack that the first `length` bytes of the input are, behind them. */
export interface EndTask extends PackEnd {
  readonly do: "end";
  /** Number of a key that the thread was given. */
  readonly key: number;
  readonly input: SharedArrayBuffer;
  readonly length: number;
}

export type Task = SealTask | OpenTask | EndTask;

export interface Answers {
  readonly seal: SealAnswer;
  readonly open: true;
  readonly end: { readonly id: string; readonly size: number };
}

/** A key is sent once: to send one costs as much as to seal a chunk. */
const keys = new Map<number, SecretKey>();

export interface Order {
  readonly id: number;
  /** Keys that the thread does not have yet. */
  readonly newKeys: readonly { readonly number: number; readonly key: SecretKey }[];
  readonly task: Task;
}

parentPort?.on("message", ({ id, newKeys, task }: Order) => {
  try {
    for (const { key, number } of newKeys) keys.set(number, key);
    parentPort?.postMessage({ id, answer: answerTo(task) });
  } catch (error) {
    // A DrError does not survive the way between threads.
    const problem =
      error instanceof DrError ? { code: error.code, message: error.message, hint: error.hint } : undefined;
    parentPort?.postMessage({ id, problem, failure: problem === undefined ? error : undefined });
  }
});

function answerTo(task: Task): Answers[Task["do"]] {
  switch (task.do) {
    case "seal":
      return sealAll(task);
    case "open":
      return openAll(task);
    case "end":
      return endPack(Buffer.from(task.input), task.length, keyOf(task.key), task);
  }
}

function keyOf(number: number): SecretKey {
  const key = keys.get(number);
  if (key === undefined) throw new Error("the thread was not given the key");
  return key;
}

function sealAll({ chunks, frames, input, key: keyNumber, output }: SealTask): SealAnswer {
  const key = keyOf(keyNumber);
  const names = chunks.map(({ length, start }) => nameOf(key, Buffer.from(input, start, length)));
  const place = Buffer.from(output);
  let end = 0;
  const sealedLengths = frames.map(({ length, start }) => {
    const sealed = sealInto(place.subarray(end), key, nameOfFrames, Buffer.from(input, start, length));
    end += sealed;
    return sealed;
  });
  return { names, sealedLengths };
}

function openAll({ bytes, frames, output }: OpenTask): true {
  const place = Buffer.from(output);
  for (const { chunks, key: keyNumber, length: sealedLength, offset, size } of frames) {
    const key = keyOf(keyNumber);
    const plain = unseal(key, nameOfFrames, bytes.subarray(offset, offset + sealedLength), size);
    for (const { length, name, start, to } of chunks) {
      const chunk = plain.subarray(start, start + length);
      if (chunk.length !== length || nameOf(key, chunk) !== name) {
        throw new DrError("OBJECT_CORRUPT", `the content of chunk ${name} is not the one its name says`);
      }
      place.set(chunk, to);
    }
    freeAtOnce(plain);
  }
  // They came with their memory.
  freeAtOnce(bytes);
  return true;
}
