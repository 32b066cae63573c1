/**
 * The one error type. Rules:
 * - An error that a user can meet is a `DrError` with a code of the table below; the code fixes exit code and retryability.
 * - The message says what happened to what (names, given value, allowed values); the hint says what to do now.
 * - Adapters translate foreign errors; nothing above them sees an SDK's class. Inner code lets errors pass, never downgrades them.
 * - Programmer mistakes are plain `Error`s: they end as INTERNAL with exit code 1.
 */

import { hasErrno } from "./errno.ts";

/** Exit codes, documented in `docs/reference/exit-codes.md` and in `--help`. */
export const exitCodes = {
  ok: 0,
  internal: 1,
  usage: 2,
  incomplete: 3,
  setup: 4,
  unreachable: 5,
  noUsableRecoveryPoint: 10,
  fenced: 11,
  verificationFailed: 12,
  objectiveMissed: 13,
  hookFailed: 14,
  partial: 15,
  pulumiFailed: 20,
  interrupted: 130,
} as const;

export const errorCodes = {
  INTERNAL: { exitCode: exitCodes.internal, retryable: false },
  USAGE: { exitCode: exitCodes.usage, retryable: false },
  SETTING_INVALID: { exitCode: exitCodes.usage, retryable: false },
  NOT_SUPPORTED: { exitCode: exitCodes.usage, retryable: false },
  PART_MISSING: { exitCode: exitCodes.setup, retryable: false },
  PORT_TAKEN: { exitCode: exitCodes.setup, retryable: true },
  DISK_FULL: { exitCode: exitCodes.setup, retryable: true },
  PROCESS_FAILED: { exitCode: exitCodes.setup, retryable: true },
  STACK_NOT_FOUND: { exitCode: exitCodes.usage, retryable: false },
  UNREACHABLE: { exitCode: exitCodes.unreachable, retryable: true },
  TIMED_OUT: { exitCode: exitCodes.unreachable, retryable: true },
  ACCESS_DENIED: { exitCode: exitCodes.unreachable, retryable: false },
  OBJECT_NOT_FOUND: { exitCode: exitCodes.noUsableRecoveryPoint, retryable: false },
  OBJECT_CORRUPT: { exitCode: exitCodes.verificationFailed, retryable: false },
  NOT_AUTHENTIC: { exitCode: exitCodes.verificationFailed, retryable: false },
  STORE_REFUSED: { exitCode: exitCodes.unreachable, retryable: true },
  QDRANT_REFUSED: { exitCode: exitCodes.unreachable, retryable: false },
  TOO_MANY_REQUESTS: { exitCode: exitCodes.unreachable, retryable: true },
  PROXY_REFUSED: { exitCode: exitCodes.unreachable, retryable: false },
  ANSWER_UNREADABLE: { exitCode: exitCodes.unreachable, retryable: false },
  KUBERNETES_REFUSED: { exitCode: exitCodes.unreachable, retryable: false },
  APPLY_CONFLICT: { exitCode: exitCodes.fenced, retryable: false },
  VERSION_UNSUPPORTED: { exitCode: exitCodes.usage, retryable: false },
  CAPTURE_INCOMPLETE: { exitCode: exitCodes.incomplete, retryable: true },
  LINEAGE_BROKEN: { exitCode: exitCodes.incomplete, retryable: true },
  RECOVERY_POINT_NOT_FOUND: { exitCode: exitCodes.noUsableRecoveryPoint, retryable: false },
  RECOVERY_POINT_PARTIAL: { exitCode: exitCodes.partial, retryable: true },
  RECOVERY_POINT_INCOMPLETE: { exitCode: exitCodes.noUsableRecoveryPoint, retryable: true },
  KEY_UNAVAILABLE: { exitCode: exitCodes.noUsableRecoveryPoint, retryable: false },
  TARGET_NOT_EMPTY: { exitCode: exitCodes.fenced, retryable: false },
  EPOCH_CONFLICT: { exitCode: exitCodes.fenced, retryable: false },
  ROLE_UNKNOWN: { exitCode: exitCodes.fenced, retryable: true },
  PRUNE_REFUSED: { exitCode: exitCodes.fenced, retryable: false },
  ROLE_REFUSES: { exitCode: exitCodes.fenced, retryable: false },
  OBJECTIVE_MISSED: { exitCode: exitCodes.objectiveMissed, retryable: false },
  DATA_LOSS_NOT_ACCEPTED: { exitCode: exitCodes.objectiveMissed, retryable: false },
  VERIFICATION_FAILED: { exitCode: exitCodes.verificationFailed, retryable: false },
  HOOK_FAILED: { exitCode: exitCodes.hookFailed, retryable: true },
  PULUMI_FAILED: { exitCode: exitCodes.pulumiFailed, retryable: true },
  INTERRUPTED: { exitCode: exitCodes.interrupted, retryable: true },
} as const;

export type ErrorCode = keyof typeof errorCodes;

export interface ErrorDetails {
  /** The next thing to do, in one sentence. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

export class DrError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "DrError";
    this.code = code;
    this.hint = details.hint;
  }

  get exitCode(): number {
    return errorCodes[this.code].exitCode;
  }

  get retryable(): boolean {
    return errorCodes[this.code].retryable;
  }
}

/** Makes any thrown thing a DrError, once, at the boundary where errors are printed or stored. */
export function toDrError(thrown: unknown): DrError {
  if (thrown instanceof DrError) return thrown;
  const cause = thrown instanceof Error ? thrown : new Error(String(thrown));
  if (hasErrno(cause, "ENOSPC")) {
    return new DrError("DISK_FULL", `the disk is full: ${cause.message}`, {
      hint: "free some space, then run it again",
      cause,
    });
  }
  return new DrError("INTERNAL", cause.message, {
    hint: "this is a defect: please report it with the output of QDRANT_DR_DEBUG=1",
    cause,
  });
}

/** True when the code of `thrown` is one of `wanted`; lets callers catch only what they expect. */
export function hasCode(thrown: unknown, ...wanted: readonly ErrorCode[]): thrown is DrError {
  return thrown instanceof DrError && wanted.includes(thrown.code);
}
