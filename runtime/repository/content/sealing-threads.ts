/**
 * Sealing and opening in threads beside the one that reads and sends: compression and encryption cost more than all the
 * rest. Bytes go between threads in shared memory, without a copy. Memory: a fixed number of slots, whoever uses them.
 */
import type { KeyObject } from "node:crypto";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { SecretKey } from "../../domain/recovery-points/key.ts";
import { sealedAtMost } from "../../domain/recovery-points/sealing.ts";
import { chunkSize } from "../../domain/recovery-points/stored-content.ts";
import { DrError, type ErrorCode } from "../../errors.ts";
import type { Answers, EndTask, OpenTask, Order, SealAnswer, SealTask, Task } from "./sealing-thread.ts";

export const slotSize = 1024 * 1024;

/** Room for chunks on their way to a thread, and for what it makes of them. */
export class SealingSlot {
  readonly input = new SharedArrayBuffer(slotSize);
  /** Each chunk may be sealed by itself. */
  readonly output = new SharedArrayBuffer((slotSize / chunkSize) * sealedAtMost(chunkSize));
  readonly chunks = Buffer.from(this.input);
  readonly sealed = Buffer.from(this.output);
}

interface Reply {
  readonly id: number;
  readonly answer?: Answers[Task["do"]];
  readonly problem?: { readonly code: ErrorCode; readonly message: string; readonly hint?: string };
  readonly failure?: unknown;
}

interface Waiting {
  readonly thread: Worker;
  resolve(answer: Answers[Task["do"]]): void;
  reject(error: unknown): void;
}

class SealingThreads {
  readonly #threads: Worker[] = [];
  readonly #waiting = new Map<number, Waiting>();
  /** Numbers of the keys that a thread has. */
  readonly #given = new WeakMap<Worker, Set<number>>();
  /** Keys by themselves, not by their ids: two stores may hold different keys under one id. */
  readonly #numbers = new WeakMap<KeyObject, number>();
  #keys = 0;
  readonly #freeSlots: SealingSlot[] = [];
  readonly #slotSeekers: ((slot: SealingSlot) => void)[] = [];
  #slots = 0;
  #tasks = 0;

  /** One core stays for what reads and sends. Asked once: it reads the limits of the process's group anew each time. */
  readonly #size = Math.min(4, Math.max(1, availableParallelism() - 1));

  async slot(): Promise<SealingSlot> {
    const free = this.#freeSlots.pop();
    if (free !== undefined) return free;
    if (this.#slots < 2 * this.#size + 4) {
      this.#slots += 1;
      return new SealingSlot();
    }
    return new Promise((resolve) => this.#slotSeekers.push(resolve));
  }

  release(slot: SealingSlot): void {
    const seeker = this.#slotSeekers.shift();
    if (seeker === undefined) this.#freeSlots.push(slot);
    else seeker(slot);
  }

  seal(key: SecretKey, task: Omit<SealTask, "do" | "key">): Promise<SealAnswer> {
    return this.#run("seal", [key], { ...task, do: "seal", key: this.#numberOf(key) });
  }

  /** @param frames each with its key. The bytes go to the thread: nobody can use them afterwards. */
  async open(
    frames: readonly (Omit<OpenTask["frames"][number], "key"> & { readonly key: SecretKey })[],
    task: Omit<OpenTask, "do" | "frames">,
  ): Promise<void> {
    const keys = [...new Set(frames.map(({ key }) => key))];
    const numbered = frames.map((frame) => ({ ...frame, key: this.#numberOf(frame.key) }));
    const bytes = aloneInMemory(task.bytes);
    await this.#run("open", keys, { ...task, do: "open", bytes, frames: numbered }, [bytes.buffer]);
  }

  endPack(key: SecretKey, task: Omit<EndTask, "do" | "key">): Promise<Answers["end"]> {
    return this.#run("end", [key], { ...task, do: "end", key: this.#numberOf(key) });
  }

  #numberOf({ data }: SecretKey): number {
    const known = this.#numbers.get(data);
    if (known !== undefined) return known;
    this.#keys += 1;
    this.#numbers.set(data, this.#keys);
    return this.#keys;
  }

  #run<Do extends Task["do"]>(
    _do: Do,
    keys: readonly SecretKey[],
    task: Task,
    transferred: ArrayBuffer[] = [],
  ): Promise<Answers[Do]> {
    this.#tasks += 1;
    const id = this.#tasks;
    const thread = this.#threads[id % this.#size] ?? this.#start();
    return new Promise<Answers[Task["do"]]>((resolve, reject) => {
      this.#waiting.set(id, { thread, resolve, reject });
      // A process must not end while it waits for a thread, and need not live because it has one.
      for (const each of this.#threads) each.ref();
      const given = this.#given.get(thread) ?? new Set();
      const newKeys = keys
        .map((key) => ({ number: this.#numberOf(key), key: { data: key.data, id: key.id, naming: key.naming } }))
        .filter(({ number }) => !given.has(number));
      for (const { number } of newKeys) given.add(number);
      this.#given.set(thread, given);
      thread.postMessage({ id, newKeys, task } satisfies Order, transferred);
    }) as Promise<Answers[Do]>;
  }

  #start(): Worker {
    const thread = new Worker(new URL("./sealing-thread.ts", import.meta.url), {
      // V8 collects the buffers of chunks late when it has much room for them.
      resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32 },
    });
    this.#threads.push(thread);
    thread.on("message", (reply: Reply) => this.#settle(reply));
    thread.on("error", (error) => {
      // Not what the others are at: they still write into the slots of their tasks.
      for (const [id, waiting] of this.#waiting) {
        if (waiting.thread !== thread) continue;
        this.#waiting.delete(id);
        waiting.reject(error);
      }
      this.#threads.splice(this.#threads.indexOf(thread), 1);
    });
    return thread;
  }

  #settle({ answer, failure, id, problem }: Reply): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) for (const thread of this.#threads) thread.unref();
    if (answer !== undefined) waiting?.resolve(answer);
    else if (problem === undefined) waiting?.reject(failure);
    else {
      const hint = problem.hint === undefined ? {} : { hint: problem.hint };
      waiting?.reject(new DrError(problem.code, problem.message, hint));
    }
  }
}

/** What is handed to a thread takes all of its memory along. */
function aloneInMemory(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, length } = bytes;
  return buffer instanceof ArrayBuffer && length === buffer.byteLength ? new Uint8Array(buffer) : new Uint8Array(bytes);
}

/** One set for the process: cores are no more than they are. */
export const sealingThreads = new SealingThreads();
