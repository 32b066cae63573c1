import type { ErrorCode } from "../runtime/errors.ts";

/** What each error code means to a user: rows of docs/reference/errors.md. */
export const errorMeanings: Readonly<Record<ErrorCode, string>> = {
  INTERNAL: "a defect of this tool: report it with the output of `QDRANT_DR_DEBUG=1`",
  USAGE: "an option is wrong, missing, or does not fit another one",
  SETTING_INVALID: "a setting, a secret or an outputs file is not allowed as it is",
  NOT_SUPPORTED: "this is not supported where it was asked for",
  PART_MISSING: "a program or file that is needed is not there: `qdrant-dr doctor`",
  PORT_TAKEN: "another process uses the port",
  DISK_FULL: "the disk is full",
  PROCESS_FAILED: "a process that was started ended or did not become ready",
  STACK_NOT_FOUND: "Pulumi knows no such stack, or the practice estate is gone",
  UNREACHABLE: "a server does not answer, leads elsewhere, or is not a Qdrant",
  TIMED_OUT: "what was waited for did not come about in its time; the message names it",
  ANSWER_UNREADABLE:
    "what a server answered cannot be read: it is a proxy, another server, or a newer version. The message names the request and the field",
  ACCESS_DENIED: "a server refuses the credentials",
  OBJECT_NOT_FOUND: "an object that is needed is not in the store",
  OBJECT_CORRUPT: "an object does not hold what its name says",
  STORE_REFUSED: "the store answered with an error",
  QDRANT_REFUSED: "Qdrant refused a request; the message has its answer",
  KUBERNETES_REFUSED: "the Kubernetes API refused a request",
  APPLY_CONFLICT: "others set fields of these objects to other values; `--force-conflicts` takes them over",
  VERSION_UNSUPPORTED:
    "Qdrant is older than 1.16 or not 1.x, or the recovery point is not of the same minor version or the one before",
  CAPTURE_INCOMPLETE: "something could not be captured whole",
  LINEAGE_BROKEN: "the source was restored or replaced during the capture; nothing was committed",
  RECOVERY_POINT_NOT_FOUND: "there is no such recovery point, or none at all",
  RECOVERY_POINT_PARTIAL: "something could not be read, and the rest was captured or restored; the message names it",
  RECOVERY_POINT_INCOMPLETE: "the recovery point lacks objects in this store",
  KEY_UNAVAILABLE: "no identity at hand opens a key that is needed",
  TARGET_NOT_EMPTY:
    "the target holds such a collection or folder, which nobody said may be replaced; nothing was changed",
  EPOCH_CONFLICT: "another run changed the roles first, or the control stores disagree",
  ROLE_UNKNOWN: "the control store does not say which region is active",
  ROLE_REFUSES: "the region's role does not allow this",
  OBJECTIVE_MISSED: "an objective was missed, or readiness is lower than asked for",
  DATA_LOSS_NOT_ACCEPTED: "more writes would be lost than `--accept-data-loss` allows; nothing was changed",
  VERIFICATION_FAILED: "what was read back is not what was written: do not serve from it",
  HOOK_FAILED: "a hook stopped the run",
  PULUMI_FAILED: "a Pulumi operation failed",
  INTERRUPTED: "the command was interrupted and cleaned up",
};
