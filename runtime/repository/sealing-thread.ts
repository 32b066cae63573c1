/** Entry of a sealing thread: names and seals chunks, or opens and checks them. */
import { parentPort } from "node:worker_threads";
import type { SecretKey } from "../domain/key.ts";
import { nameOf, seal, unseal } from "../domain/sealing.ts";
import { chunkSize } from "../domain/stored-content.ts";
import { DrError } from "../errors.ts";

export interface SealTask {
  readonly do: "seal";
  readonly key: SecretKey;
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
  readonly keys: readonly SecretKey[];
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
  readonly plain: readonly Uint8Array[];
}

export type Task = SealTask | OpenTask;

parentPort?.on("message", ({ id, task }: { readonly id: number; readonly task: Task }) => {
  try {
    if (task.do === "seal") {
      parentPort?.postMessage({ id, answer: sealAll(task) });
      return;
    }
    const answer = openAll(task);
    parentPort?.postMessage({ id, answer }, [...new Set(answer.plain.map(({ buffer }) => buffer as ArrayBuffer))]);
  } catch (error) {
    // A DrError does not survive the way between threads.
    const problem =
      error instanceof DrError ? { code: error.code, message: error.message, hint: error.hint } : undefined;
    parentPort?.postMessage({ id, problem, failure: problem === undefined ? error : undefined });
  }
});

function sealAll({ expected, input, key, lengths, output }: SealTask): SealAnswer {
  const place = Buffer.from(output);
  const names: string[] = [];
  const sealedLengths: number[] = [];
  let end = 0;
  for (const [position, length] of lengths.entries()) {
    const chunk = Buffer.from(input, position * chunkSize, length);
    const name = nameOf(key, chunk);
    names.push(name);
    if (expected[position] === name) {
      sealedLengths.push(0);
      continue;
    }
    const sealed = seal(key, name, chunk);
    place.set(sealed, end);
    end += sealed.length;
    sealedLengths.push(sealed.length);
  }
  return { names, sealedLengths };
}

function openAll({ bytes, keys, pieces, plainSize }: OpenTask): OpenAnswer {
  const plain = pieces.map(({ key: position, length, name, offset }) => {
    const key = keys[position];
    if (key === undefined) throw new Error("a piece names no key");
    const opened = unseal(key, name, bytes.subarray(offset, offset + length), plainSize);
    if (nameOf(key, opened) === name) return opened;
    throw new DrError("OBJECT_CORRUPT", `the content of chunk ${name} is not the one its name says`);
  });
  // Small buffers share memory with each other, which must not be handed over.
  return {
    plain: plain.map((opened) => (opened.length === opened.buffer.byteLength ? opened : new Uint8Array(opened))),
  };
}
