/** Entry of a sealing thread: names and seals chunks, or opens and checks them. */
import { parentPort } from "node:worker_threads";
import type { SecretKey } from "../../domain/recovery-points/key.ts";
import { nameOf, sealInto, unseal } from "../../domain/recovery-points/sealing.ts";
import { chunkSize } from "../../domain/recovery-points/stored-content.ts";
import { DrError } from "../../errors.ts";

export interface SealTask {
  readonly do: "seal";
  /** Number of a key that the thread was given. */
  readonly key: number;
  /** Chunks, one every `chunkSize` bytes. */
  readonly input: SharedArrayBuffer;
  readonly lengths: readonly number[];
  /** The name under which a chunk is stored already: then it need not be sealed. */
  readonly expected: readonly (string | undefined)[];
  readonly output: SharedArrayBuffer;
}

export interface SealAnswer {
  readonly names: readonly string[];
  /** Bytes of each sealed chunk in the output, one behind the other; 0 where the chunk is the expected one. */
  readonly sealedLengths: readonly number[];
}

export interface OpenTask {
  readonly do: "open";
  readonly bytes: Uint8Array;
  readonly pieces: readonly {
    readonly offset: number;
    readonly length: number;
    readonly name: string;
    readonly key: number;
  }[];
  /** The most bytes a piece may open to. */
  readonly plainSize: number;
}

export interface OpenAnswer {
  /** What the pieces opened to, one behind the other. */
  readonly plain: ArrayBuffer;
  readonly lengths: readonly number[];
}

export type Task = SealTask | OpenTask;

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
    if (task.do === "seal") {
      parentPort?.postMessage({ id, answer: sealAll(task) });
      return;
    }
    const answer = openAll(task);
    parentPort?.postMessage({ id, answer }, [answer.plain]);
  } catch (error) {
    // A DrError does not survive the way between threads.
    const problem =
      error instanceof DrError ? { code: error.code, message: error.message, hint: error.hint } : undefined;
    parentPort?.postMessage({ id, problem, failure: problem === undefined ? error : undefined });
  }
});

function keyOf(number: number): SecretKey {
  const key = keys.get(number);
  if (key === undefined) throw new Error("the thread was not given the key");
  return key;
}

function sealAll({ expected, input, key: keyNumber, lengths, output }: SealTask): SealAnswer {
  const key = keyOf(keyNumber);
  const place = Buffer.from(output);
  const names: string[] = [];
  const sealedLengths: number[] = [];
  let end = 0;
  for (const [position, plainLength] of lengths.entries()) {
    const chunk = Buffer.from(input, position * chunkSize, plainLength);
    const name = nameOf(key, chunk);
    names.push(name);
    if (expected[position] === name) {
      sealedLengths.push(0);
      continue;
    }
    const length = sealInto(place.subarray(end), key, name, chunk);
    end += length;
    sealedLengths.push(length);
  }
  return { names, sealedLengths };
}

function openAll({ bytes, pieces, plainSize }: OpenTask): OpenAnswer {
  const opened = pieces.map(({ key: keyNumber, length, name, offset }) => {
    const key = keyOf(keyNumber);
    const plain = unseal(key, name, bytes.subarray(offset, offset + length), plainSize);
    if (nameOf(key, plain) === name) return plain;
    throw new DrError("OBJECT_CORRUPT", `the content of chunk ${name} is not the one its name says`);
  });
  const lengths = opened.map(({ length }) => length);
  // In a buffer of its own, which can be transferred: small buffers share their memory with others.
  const plain = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  let end = 0;
  for (const each of opened) {
    plain.set(each, end);
    end += each.length;
  }
  return { lengths, plain: plain.buffer };
}
