/** Writes collections of a recovery point as plain Qdrant snapshots, which a Qdrant restores without this tool. */
import { snapshotFileName } from "../domain/qdrant/collection-archive.ts";
import type { ShardKey } from "../domain/qdrant/shard-key-plan.ts";
import type { CapturedCollection, RecoveryPoint } from "../domain/recovery-points/recovery-point.ts";
import { DrError } from "../errors.ts";
import type { NewFile, NewFiles } from "../ports/new-files.ts";
import type { Progress } from "../ports/progress.ts";
import { withFacts } from "../repository/content/collection-facts.ts";
import type { OpenRepository } from "../repository/repository.ts";
import { qdrantVersionOf } from "./apply/plan-apply.ts";
import { collectionArchive } from "./apply/shard-archive.ts";

export interface ExportRequest {
  readonly repository: OpenRepository;
  readonly recoveryPoint: RecoveryPoint;
  /** Names of the collections wanted; all of the recovery point's when left out. */
  readonly only?: readonly string[] | undefined;
  readonly files: NewFiles;
  readonly progress: Progress;
}

export interface ExportedCollection {
  readonly collection: string;
  readonly points: number;
  readonly shards: number;
  readonly isExact: boolean;
  /** Qdrant makes no shard keys of a snapshot: they must be there, made in this order. */
  readonly shardKeys: readonly ShardKey[];
  readonly file: NewFile;
}

export interface ExportReport {
  readonly qdrantVersion: string;
  readonly collections: readonly ExportedCollection[];
  /** A snapshot holds none: to be set by hand. */
  readonly aliases: readonly { readonly alias: string; readonly collection: string }[];
}

/** Every byte is checked as it is read. What is written before an error is whole; no file is replaced. */
export async function exportRecoveryPoint({
  files,
  only,
  progress,
  recoveryPoint,
  repository,
}: ExportRequest): Promise<ExportReport> {
  const qdrantVersion = qdrantVersionOf(recoveryPoint);
  const wanted = await withFacts(repository, wantedOf(recoveryPoint, only));
  await files.refuseTaken(wanted.map(({ name }) => snapshotFileName(name)));
  const collections: ExportedCollection[] = [];
  for (const collection of wanted) {
    const { name, pointsAfter, shards } = collection;
    progress({ step: "export", detail: `${name}: ${pointsAfter} points in ${shards.length} shards` });
    const file = await files.write(snapshotFileName(name), collectionArchive(repository, collection));
    const isExact = shards.every((shard) => shard.isExact);
    const shardKeys = [...new Set(shards.flatMap(({ key }) => key ?? []))];
    collections.push({ collection: name, points: pointsAfter, shards: shards.length, isExact, shardKeys, file });
  }
  const names = new Set(wanted.map(({ name }) => name));
  return {
    qdrantVersion,
    collections,
    aliases: recoveryPoint.aliases.filter(({ collection }) => names.has(collection)),
  };
}

function wantedOf({ collections, id }: RecoveryPoint, only: readonly string[] | undefined): CapturedCollection[] {
  const unknown = (only ?? []).filter((name) => !collections.some((collection) => collection.name === name));
  if (unknown.length === 0) return collections.filter(({ name }) => only?.includes(name) ?? true);
  throw new DrError("USAGE", `${unknown.join(", ")} is not in ${id}`, {
    hint: `it holds ${collections.map(({ name }) => name).join(", ")}`,
  });
}
