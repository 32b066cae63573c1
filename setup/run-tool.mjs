import { spawn } from "node:child_process";
import { constants } from "node:os";
import { isatty } from "node:tty";

/** A tool says what went wrong first or last; the middle is detail. */
const HEAD_LINES = 6;
const TAIL_LINES = 10;
/** @type {readonly NodeJS.Signals[]} */
const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];

/** A tool that could not be started, failed or took too long; its message ends with what it said. */
export class ToolFailed extends Error {
  /**
   * @param {string} message
   * @param {boolean} absent there is no such program
   */
  constructor(message, absent) {
    super(message);
    this.name = "ToolFailed";
    this.absent = absent;
  }
}

/**
 * @param {string} output
 * @returns {string}
 */
function shorten(output) {
  const lines = output.split("\n").filter((line) => line.trim() !== "");
  if (lines.length <= HEAD_LINES + TAIL_LINES) return lines.join("\n  ");
  return [...lines.slice(0, HEAD_LINES), "…", ...lines.slice(-TAIL_LINES)].join("\n  ");
}

/**
 * Runs a program to its end with its output captured, and ends it when this process is told to stop.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env: NodeJS.ProcessEnv, cwd?: string, timeoutMs?: number }} options
 * @returns {Promise<string>} what it wrote to stdout and stderr
 */
export function runTool(command, args, { env, cwd, timeoutMs }) {
  return new Promise((done, failed) => {
    const child = spawn(command, args, {
      env,
      stdio: ["ignore", "pipe", "pipe"],
      ...(cwd === undefined ? {} : { cwd }),
      ...(timeoutMs === undefined ? {} : { timeout: timeoutMs, killSignal: "SIGKILL" }),
    });
    let output = "";
    const collect = (/** @type {Buffer} */ chunk) => {
      output += chunk.toString();
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);

    const stop = (/** @type {NodeJS.Signals} */ signal) => {
      child.kill(signal);
      release();
      // Nobody else listens: the signal does what it would have done without us.
      if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
    };
    const release = () => {
      for (const signal of STOP_SIGNALS) process.removeListener(signal, stop);
    };
    for (const signal of STOP_SIGNALS) process.on(signal, stop);

    const line = [command, ...args.slice(0, 2)].join(" ");
    child.on("error", (error) => {
      release();
      const absent = /** @type {NodeJS.ErrnoException} */ (error).code === "ENOENT";
      failed(new ToolFailed(absent ? `${command} is not on PATH` : `${line}: ${error.message}`, absent));
    });
    child.on("close", (code, signal) => {
      release();
      if (code === 0) return done(output);
      const why = signal === null ? `exit code ${code}` : `ended by ${signal}`;
      failed(new ToolFailed(`${line} failed (${why})${output.trim() === "" ? "" : `:\n  ${shorten(output)}`}`, false));
    });
  });
}

/**
 * Runs a command as if it stood here itself: same terminal, same signals, same exit code.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<number>} its exit code, or 128 and the number of the signal that ended it
 */
export function runInstead(command, args, env) {
  return new Promise((done, failed) => {
    const forward = (/** @type {NodeJS.Signals} */ signal) => {
      // A terminal sends Ctrl-C to the command as well; a second one would make it break off instead of stopping.
      if (signal === "SIGINT" && isatty(0)) return;
      child.kill(signal);
    };
    // Before the command is there: a signal that comes right after its start must reach it.
    for (const signal of STOP_SIGNALS) process.on(signal, forward);
    const child = spawn(command, args, { env, stdio: "inherit" });
    const release = () => {
      for (const signal of STOP_SIGNALS) process.removeListener(signal, forward);
    };
    child.on("error", (error) => {
      release();
      failed(error);
    });
    child.on("close", (code, signal) => {
      release();
      done(signal === null ? (code ?? 1) : 128 + constants.signals[signal]);
    });
  });
}
