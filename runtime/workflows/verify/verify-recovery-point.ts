/** Proves that a recovery point can be read from this region's own bucket: every chunk fetched, opened and compared with its name. */
import { filesOf, folderTreeSchema } from "../../domain/recovery-points/folder-tree.ts";
import { missingFrom } from "../../domain/recovery-points/missing.ts";
import type { DataKind, Missing, RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { shardTreeSchema } from "../../domain/recovery-points/shard-tree.ts";
import type { StoredContent } from "../../domain/recovery-points/stored-content.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Progress } from "../../ports/progress.ts";
import { attest } from "../../repository/catalog/attest.ts";
import { readFiles } from "../../repository/content/file-reader.ts";
import { unlessMissing } from "../../repository/record.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { damagedObjectsOf, isDamage } from "./find-damage.ts";

interface ReadContent {
  readonly files: number;
  readonly bytes: number;
  readonly seconds: number;
}

export interface VerifyReport extends ReadContent {
  readonly recoveryPoint: string;
  readonly kinds: readonly DataKind[];
  /** How many of each were read. */
  readonly collections: number;
  readonly folders: number;
}

/** Of all that were read together. */
export interface VerifyAllReport extends ReadContent {
  /** The first of them. */
  readonly recoveryPoint: string;
  readonly recoveryPoints: readonly VerifyReport[];
  /** What their captures could not read. */
  readonly missing: readonly Missing[];
}

interface VerifyTools {
  readonly clock: Clock;
  readonly progress: Progress;
  readonly region: string;
}

/** Verifies all of them, also when one is damaged; throws the error of the first that is. */
export async function verifyRecoveryPoints(
  repository: OpenRepository,
  recoveryPoints: readonly RecoveryPoint[],
  tools: VerifyTools,
): Promise<VerifyAllReport> {
  const reports: VerifyReport[] = [];
  const errors: unknown[] = [];
  for (const recoveryPoint of recoveryPoints) {
    try {
      reports.push(await verifyRecoveryPoint(repository, recoveryPoint, tools));
    } catch (error) {
      if (!isDamage(error)) throw error;
      errors.push(error);
    }
  }
  const [first] = reports;
  if (first === undefined || errors.length > 0) throw errors[0];
  const sumOf = (field: keyof ReadContent) => reports.reduce((sum, report) => sum + report[field], 0);
  return {
    recoveryPoint: first.recoveryPoint,
    recoveryPoints: reports,
    missing: recoveryPoints.flatMap(missingFrom),
    files: sumOf("files"),
    bytes: sumOf("bytes"),
    seconds: sumOf("seconds"),
  };
}

/**
 * Leaves an attestation of what it found. Throws OBJECT_CORRUPT or OBJECT_NOT_FOUND at the first piece that is not right,
 * also when it is read a second time; the recovery point is then quarantined in this bucket, and no longer restored from it. What is
 * damaged of its folders costs the folders only, as long as Qdrant's part is whole.
 */
export async function verifyRecoveryPoint(
  repository: OpenRepository,
  recoveryPoint: RecoveryPoint,
  { clock, progress, region }: VerifyTools,
): Promise<VerifyReport> {
  const begun = clock.monotonic();
  const sum = { files: 0, bytes: 0 };
  const damaged: { readonly part: Part; readonly error: DrError }[] = [];
  for (const part of partsOf(repository, recoveryPoint)) {
    progress({ step: "verify", detail: part.name });
    try {
      const { bytes, files } = await readTwice(repository, part, progress);
      sum.files += files;
      sum.bytes += bytes;
    } catch (error) {
      if (!isDamage(error)) throw error;
      damaged.push({ part, error });
      // Nothing that the rest could say would change what becomes of the recovery point.
      if (part.isOfQdrant) break;
    }
  }
  const [first] = damaged;
  if (first === undefined) {
    const detail = `${sum.files} files, ${sum.bytes} bytes read and opened`;
    await attest(repository, "verified", recoveryPoint, { at: clock.now(), region, detail });
    const { collections, folders, id, kinds } = recoveryPoint;
    const read = { kinds, collections: collections.length, folders: folders.length, ...sum };
    return { recoveryPoint: id, ...read, seconds: (clock.monotonic() - begun) / 1000 };
  }
  await refuseUnlessListed(repository, recoveryPoint);
  const detail = damaged.map(({ error, part }) => `${part.name}: ${error.message}`).join("; ");
  const isOfFoldersOnly = recoveryPoint.kinds.includes("qdrant") && damaged.every(({ part }) => !part.isOfQdrant);
  const objects = await damagedObjectsOf(repository, recoveryPoint.id);
  await attest(repository, isOfFoldersOnly ? "folders-quarantined" : "quarantined", recoveryPoint, {
    ...{ at: clock.now(), region, detail },
    // What its name fits is as it was captured: another object does not heal it.
    ...(objects.length === 0 ? {} : { damaged: objects.map(({ key }) => key) }),
  });
  throw new DrError(first.error.code, isOfFoldersOnly ? `${detail}; Qdrant's part of it is whole` : detail, {
    hint: isOfFoldersOnly
      ? "Qdrant can be restored from it; restore the folders from another recovery point, and capture them again"
      : "restore from another recovery point; `qdrant-dr heal` fetches what is damaged from the other region",
    cause: first.error,
  });
}

/** What a prune removes is not damaged: its manifest goes first. */
async function refuseUnlessListed(repository: OpenRepository, { id }: RecoveryPoint): Promise<void> {
  if ((await unlessMissing(repository.readRecoveryPoint(id))) !== undefined) return;
  throw new DrError("RECOVERY_POINT_NOT_FOUND", `${id} was pruned while it was read`, {
    hint: "verify another one: `qdrant-dr recovery-points list` shows what is kept",
  });
}

/** What is damaged or whole by itself. */
interface Part {
  readonly name: string;
  readonly isOfQdrant: boolean;
  contents(): AsyncIterable<readonly StoredContent[]>;
}

function partsOf(repository: OpenRepository, { collections, folders }: RecoveryPoint): Part[] {
  const ofQdrant = collections.map((collection) => ({
    name: collection.name,
    isOfQdrant: true,
    async *contents() {
      await repository.readFacts(collection);
      for (const { tree } of collection.shards) yield (await repository.readTree(tree.id, shardTreeSchema)).files;
    },
  }));
  const beside = folders.map(({ kind, name, tree }) => ({
    name: `${kind} ${name}`,
    isOfQdrant: false,
    async *contents() {
      yield filesOf(await repository.readTree(tree.id, folderTreeSchema));
    },
  }));
  return [...ofQdrant, ...beside];
}

/** What was damaged on its way only must not cost the recovery point: a quarantine is for good. */
async function readTwice(repository: OpenRepository, part: Part, progress: Progress) {
  try {
    return await readPart(repository, part);
  } catch (error) {
    if (!isDamage(error)) throw error;
    progress({ step: "verify", detail: `${part.name} again, because ${error.message}` });
    return readPart(repository, part);
  }
}

async function readPart(repository: OpenRepository, part: Part) {
  let files = 0;
  let bytes = 0;
  for await (const contents of part.contents()) {
    for await (const { content } of readFiles(repository, contents)) {
      files += 1;
      for await (const chunk of content) bytes += chunk.length;
    }
  }
  return { bytes, files };
}
