/** The smallest thing to do next for a Qdrant, as a command: first that something protects it, then that this is proven, then that it goes on. */
import type { KeyRights } from "./qdrant-hazards.ts";

export interface Protection {
  readonly url: string;
  readonly rights: KeyRights;
  /** Whether it is said anywhere where its recovery points are. */
  readonly hasSettings: boolean;
  /** One that can be restored. */
  readonly hasRecoveryPoint: boolean;
  readonly isVerified: boolean;
  readonly wasRestored: boolean;
  /** How many collections no recovery point holds. */
  readonly lacking: number;
}

export interface Step {
  readonly command: string;
  readonly because: string;
}

export function stepAfter({
  hasRecoveryPoint,
  hasSettings,
  isVerified,
  lacking,
  rights,
  url,
  wasRestored,
}: Protection): Step {
  if (rights !== "everything") {
    return {
      command: "export QDRANT_API_KEY=…",
      because: "with the key that was given nobody can capture or restore: give Qdrant's own",
    };
  }
  if (!hasSettings) {
    return {
      command: `qdrant-dr init --qdrant ${url} --store /path/on/another/disk`,
      because: "nothing protects it yet; a store is a folder or s3://bucket/prefix, and not on Qdrant's own disk",
    };
  }
  if (!hasRecoveryPoint)
    return { command: "qdrant-dr backup", because: "there is no recovery point that can be restored" };
  if (lacking > 0) {
    return {
      command: "qdrant-dr backup",
      because: `${lacking === 1 ? "a collection is" : `${lacking} collections are`} in no recovery point`,
    };
  }
  if (!isVerified) return { command: "qdrant-dr verify", because: "nobody has read a recovery point back" };
  if (!wasRestored) return { command: "qdrant-dr restore --test", because: "nobody has restored a recovery point" };
  return { command: "qdrant-dr serve", because: "a schedule keeps it so: captures, verifications and test restores" };
}
