/** Exit code of a command that stopped because a part could not be made ready. */
const SETUP_FAILED = 4;

/** Exit code of a command that was called with words it does not know. */
export const WRONG_USAGE = 2;

/** An error a person can act on: what is wrong, and how to mend it. */
export class SetupError extends Error {
  /**
   * @param {string} code SCREAMING_SNAKE name that scripts can test for
   * @param {string} message
   * @param {string} hint
   * @param {number} [exitCode]
   */
  constructor(code, message, hint, exitCode = SETUP_FAILED) {
    super(message);
    this.name = "SetupError";
    this.code = code;
    this.hint = hint;
    this.exitCode = exitCode;
  }
}

/** Errors that no other source can help with: every source writes to the same disk. */
const FATAL = new Set(["DISK_FULL", "NOT_WRITABLE"]);

/**
 * @param {unknown} error
 * @returns {error is SetupError}
 */
export function isFatal(error) {
  return error instanceof SetupError && FATAL.has(error.code);
}

/**
 * Turns what the system or a tool says about a full or closed disk into an error with a way out; other errors stay.
 *
 * @param {unknown} error
 * @param {{ what: string, directory: string, way: string }} place what was being written, where, and how to move it
 * @returns {unknown}
 */
export function explainDisk(error, { what, directory, way }) {
  if (!(error instanceof Error) || error instanceof SetupError) return error;
  const code = /** @type {NodeJS.ErrnoException} */ (error).code ?? "";
  if (code === "ENOSPC" || code === "EDQUOT" || /ENOSPC|No space left on device/i.test(error.message)) {
    return new SetupError(
      "DISK_FULL",
      `${what}: the disk is full (writing to ${directory})`,
      `free some space there, or ${way}`,
    );
  }
  if (["EACCES", "EROFS", "EPERM", "ENOTDIR"].includes(code)) {
    return new SetupError(
      "NOT_WRITABLE",
      `${what}: ${directory} cannot be written (${code})`,
      `make it writable, or ${way}`,
    );
  }
  return error;
}

/**
 * @param {unknown} error
 * @returns {string}
 */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Prints an error the way every command of this project does, and gives the exit code.
 *
 * @param {unknown} error
 * @param {NodeJS.WritableStream} [stream]
 * @returns {number}
 */
export function reportError(error, stream = process.stderr) {
  if (!(error instanceof SetupError)) throw error;
  stream.write(`error: ${error.message}\nhint: ${error.hint}\n`);
  return error.exitCode;
}
