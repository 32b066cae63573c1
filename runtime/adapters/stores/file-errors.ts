/** What a file system refuses, told with the path and the account that was refused. */
import { userInfo } from "node:os";
import { hasErrno } from "../../errno.ts";
import { DrError } from "../../errors.ts";

/** @param what happened to which path. */
export function fileError(error: unknown, what: string): unknown {
  if (error instanceof DrError || !(error instanceof Error)) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (hasErrno(error, "EACCES", "EPERM", "EROFS")) {
    return new DrError("ACCESS_DENIED", `${what} by ${account()} (${code})`, {
      hint: "give that account the right to read and write in the store's folder, or run as the account that owns it",
      cause: error,
    });
  }
  if (hasErrno(error, "ENOSPC", "EDQUOT", "EFBIG")) {
    return new DrError("DISK_FULL", `${what}: its disk is full (${code})`, {
      hint: "free some space there, then run it again: what was stored stays, and nothing half-made is left",
      cause: error,
    });
  }
  if (hasErrno(error, "EIO", "ESTALE", "ENOTCONN", "EHOSTDOWN", "EHOSTUNREACH", "ETIMEDOUT", "ENODEV", "ENXIO")) {
    return new DrError("UNREACHABLE", `${what}: its disk does not answer (${code})`, {
      hint: "check the disk, or the connection to the share, then run it again",
      cause: error,
    });
  }
  if (hasErrno(error, "ENAMETOOLONG", "EILSEQ", "EINVAL")) {
    return new DrError("NOT_SUPPORTED", `${what}: its file system does not take the name (${code})`, {
      hint: "use a folder on a file system that takes it, or another name",
      cause: error,
    });
  }
  return error;
}

/** Who asks: its name where the system knows one. */
function account(): string {
  const uid = process.getuid?.();
  try {
    const { username } = userInfo();
    return uid === undefined ? username : `${username} (uid ${uid})`;
  } catch {
    return `uid ${uid}`;
  }
}
