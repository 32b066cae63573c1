import { messageOf } from "./setup-error.mjs";

/**
 * @typedef {{ kind: "begin" | "end" | "note", text: string }} ProgressEvent
 * `begin` is followed by one `end` with the same subject; `note` stands alone.
 */

/**
 * Lines on stderr: stdout belongs to the command that runs afterwards. A terminal sees the seconds pass.
 *
 * @param {NodeJS.WriteStream} [stream]
 * @returns {(event: ProgressEvent) => void}
 */
export function stderrProgress(stream = process.stderr) {
  /** @type {NodeJS.Timeout | undefined} */
  let ticking;
  const stopTicking = () => {
    if (!ticking) return;
    clearInterval(ticking);
    ticking = undefined;
    stream.write("\r\x1b[2K");
  };
  return ({ kind, text }) => {
    stopTicking();
    stream.write(`${text}\n`);
    if (kind !== "begin" || !stream.isTTY) return;
    const started = Date.now();
    ticking = setInterval(() => {
      stream.write(`\r\x1b[2K  ${Math.round((Date.now() - started) / 1000)} s`);
    }, 1000);
    ticking.unref();
  };
}

/**
 * @template T
 * @param {(event: ProgressEvent) => void} onProgress
 * @param {string} subject "qdrant 1.16.3"
 * @param {string} doing "fetching the official download"
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function timed(onProgress, subject, doing, work) {
  const started = Date.now();
  const seconds = () => `${((Date.now() - started) / 1000).toFixed(1)} s`;
  onProgress({ kind: "begin", text: `${subject}: ${doing}…` });
  try {
    const result = await work();
    onProgress({ kind: "end", text: `${subject}: ready after ${seconds()}` });
    return result;
  } catch (error) {
    const [reason] = messageOf(error).split("\n");
    onProgress({ kind: "end", text: `${subject}: not this way after ${seconds()}: ${reason}` });
    throw error;
  }
}
