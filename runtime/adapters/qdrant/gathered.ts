/**
 * A server's answer in larger pieces. Qdrant sends an archive in pieces of some kilobytes, and to pass each of them on by itself costs
 * more than what is done with its bytes.
 */
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";

/** Bytes that wait until they are read, and room for what comes at once. */
const pieceSize = 256 * 1024;

export interface Gathering {
  /** What is thrown in the place of a failure of the connection. */
  translate(cause: Error): Error;
  /** Sees all that comes. */
  onBytes?(bytes: Buffer): void;
  /** Throws when that is not what should have come. */
  onEnd?(): void;
}

/** It takes the connection with it: a server may hold locks for as long as that is open, read or not. */
export function gathered(answer: IncomingMessage, { onBytes, onEnd, translate }: Gathering): Readable {
  let room = Buffer.allocUnsafeSlow(pieceSize);
  let [begin, end] = [0, 0];
  let passing: NodeJS.Immediate | undefined;
  const stream = new Readable({
    highWaterMark: pieceSize,
    read: () => void answer.resume(),
    destroy(error, callback) {
      clearImmediate(passing);
      answer.destroy();
      callback(error);
    },
  });
  const pass = () => {
    clearImmediate(passing);
    passing = undefined;
    if (begin === end) return;
    const piece = room.subarray(begin, end);
    begin = end;
    if (end === pieceSize) {
      room = Buffer.allocUnsafeSlow(pieceSize);
      [begin, end] = [0, 0];
    }
    if (!stream.push(piece)) answer.pause();
  };
  answer.on("data", (bytes: Buffer) => {
    onBytes?.(bytes);
    for (let done = 0; done < bytes.length; ) {
      const copied = bytes.copy(room, end, done);
      done += copied;
      end += copied;
      if (end === pieceSize) pass();
    }
    // With all that comes in the same turn.
    passing ??= setImmediate(pass);
  });
  answer.once("end", () => {
    try {
      onEnd?.();
      pass();
      stream.push(null);
    } catch (error) {
      stream.destroy(error as Error);
    }
  });
  answer.once("error", (cause) => void stream.destroy(translate(cause)));
  answer.once("close", () => {
    if (!answer.complete && !stream.destroyed) stream.destroy(translate(new Error("it was closed")));
  });
  // Nothing flows before it is read.
  answer.pause();
  return stream;
}
