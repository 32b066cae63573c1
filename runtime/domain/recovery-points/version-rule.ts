/** Which Qdrant versions this tool works with, and where a recovery point may be restored. */
import { DrError } from "../../errors.ts";

const oldestSupported = { major: 1, minor: 16 };
/** The newest whose source and behaviour this tool was tried on. */
const newestProven = { major: 1, minor: 19 };

function parseVersion(version: string): { major: number; minor: number } {
  const match = /^v?(\d+)\.(\d+)\./.exec(version);
  if (match === null) throw new DrError("VERSION_UNSUPPORTED", `${JSON.stringify(version)} is not a Qdrant version`);
  return { major: Number(match[1]), minor: Number(match[2]) };
}

/** Of the versions of a cluster's peers. */
export function newestVersion(versions: readonly string[]): string {
  const ordinal = (version: string) => {
    const { major, minor } = parseVersion(version);
    return [major, minor, Number(/^v?\d+\.\d+\.(\d+)/.exec(version)?.[1] ?? 0)] as const;
  };
  const newer = (a: string, b: string) => {
    const [left, right] = [ordinal(a), ordinal(b)];
    return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
  };
  const newest = [...versions].sort(newer).at(-1);
  if (newest === undefined) throw new Error("a cluster has at least one peer");
  return newest;
}

/** Whether a Qdrant is of this minor version or a later one. */
export function isSince(version: string, major: number, minor: number): boolean {
  const found = parseVersion(version);
  return found.major > major || (found.major === major && found.minor >= minor);
}

/** What is to be said of a version that is newer than what was tried: a backup of it is worth more than none. */
export function checkSupported(version: string): string | undefined {
  const { major, minor } = parseVersion(version);
  if (major !== oldestSupported.major || minor < oldestSupported.minor) {
    throw new DrError("VERSION_UNSUPPORTED", `Qdrant ${version} is not supported: 1.16 and newer 1.x are`, {
      hint: "update Qdrant, or use a release of qdrant-dr that knows this version of it",
    });
  }
  if (minor <= newestProven.minor) return undefined;
  return `Qdrant ${version} is newer than 1.${newestProven.minor}, with which this release was tried: rehearse a restore of it`;
}

/** Qdrant restores a snapshot in the same or the next minor version (documentation "Snapshots", 2026-08). */
export function checkRestorable(from: string, to: string): void {
  const source = parseVersion(from);
  const target = parseVersion(to);
  const step = target.minor - source.minor;
  if (source.major === target.major && (step === 0 || step === 1)) return;
  throw new DrError("VERSION_UNSUPPORTED", `a recovery point of Qdrant ${from} cannot be restored on ${to}`, {
    hint: `restore it on Qdrant ${source.major}.${source.minor} or ${source.major}.${source.minor + 1}`,
  });
}
