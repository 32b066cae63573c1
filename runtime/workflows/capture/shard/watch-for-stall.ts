/**
 * Qdrant drops a collection when the captures of its shards have ended, and answers no other request until it is dropped
 * (1.16.3). So a capture that takes long looks whether the server still answers, and ends when it does not.
 */
import type { Readable } from "node:stream";
import type { Clock } from "../../../ports/clock.ts";

/** Thrown to whoever reads the stream. */
export class StallError extends Error {}

/**
 * @param ask something that the server answers at once when nobody waits.
 * @param patienceMs how long reading goes on between two looks, and how long an answer may take.
 * @returns ends the watch.
 */
export function watchForStall(
  clock: Clock,
  stream: Readable,
  ask: () => Promise<unknown>,
  patienceMs: number,
): () => void {
  const ended = new AbortController();
  const pause = () => clock.sleep(patienceMs, ended.signal);
  const answersInTime = () => {
    // What the server says is of no interest here, nor that it refuses: it answers.
    const answered = ask().then(
      () => true,
      () => true,
    );
    return Promise.race([answered, pause().then(() => false)]);
  };
  const watch = async () => {
    do await pause();
    while (await answersInTime());
    // Nobody may be reading right now.
    stream.on("error", () => undefined);
    stream.destroy(new StallError("the server answers nothing else"));
  };
  watch().catch(() => undefined);
  return () => ended.abort();
}
