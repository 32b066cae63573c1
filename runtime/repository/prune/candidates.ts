/** What retention must know of recovery points: little of each, so that a hundred thousand of them fit into memory. */
import { z } from "zod";
import type { Candidate } from "../../domain/history/decide-kept.ts";
import type { LockedCandidate } from "../../domain/history/lock-end.ts";
import { type Holding, partOfCollection, type RetainedKind } from "../../domain/history/retention.ts";
import {
  capturedFolderSchema,
  captureTypes,
  type DataKind,
  dataKinds,
  type RecoveryPoint,
  recoveryPointSchema,
} from "../../domain/recovery-points/recovery-point.ts";
import { type EpochRecord, isOfActiveRegion } from "../../domain/roles/epoch.ts";

/** A manifest without what is repeated in it of each collection's content. */
export const manifestFactsSchema = recoveryPointSchema
  .pick({
    format: true,
    id: true,
    kinds: true,
    region: true,
    epoch: true,
    startedAt: true,
    finishedAt: true,
    imported: true,
  })
  .extend({
    type: z.enum(captureTypes),
    collections: z.array(
      z.object({
        name: z.string(),
        facts: z.string(),
        shards: z.array(z.object({ isExact: z.boolean(), tree: z.object({ id: z.string(), size: z.number() }) })),
      }),
    ),
    folders: z.array(capturedFolderSchema.pick({ kind: true, name: true, isExact: true, tree: true })),
  });
export type ManifestFacts = z.infer<typeof manifestFactsSchema>;

export interface CandidateEvidence {
  readonly epochs: readonly EpochRecord[];
  readonly isQuarantined: boolean;
  readonly isVerified: boolean;
  readonly heldBy: readonly string[];
}

/** Makes candidates of manifests; those that hold the same share what says so. */
export class CandidateMaker {
  readonly #holdings = new Map<string, Holding>();

  candidateOf(facts: ManifestFacts | RecoveryPoint, evidence: CandidateEvidence): Candidate {
    const { collections, finishedAt, folders, id, imported, kinds, startedAt, type } = facts;
    // It is of no known time, and stands for nothing that was captured: it is kept for as long as a daily one.
    const source = imported === undefined ? "" : ` of ${id}, which was imported`;
    const { epochs, heldBy, isQuarantined, isVerified } = evidence;
    return {
      id,
      startedAt,
      finishedAt,
      type,
      isExact: [...collections.flatMap(({ shards }) => shards), ...folders].every(({ isExact }) => isExact),
      isVerified,
      isRestorable: !isQuarantined && isOfActiveRegion(facts, epochs) && imported === undefined,
      heldBy,
      holdings: {
        ...this.#held(
          "qdrant",
          kinds,
          ["qdrant"],
          collections.map(({ name }) => `${partOfCollection(name)}${source}`),
        ),
        ...this.#held("folders", kinds, ["config", "user-data"], namesOf(folders, ["config", "user-data"])),
        ...this.#held("infrastructure", kinds, ["infrastructure"], namesOf(folders, ["infrastructure"])),
      },
    };
  }

  #held(
    kind: RetainedKind,
    kinds: readonly DataKind[],
    wanted: readonly DataKind[],
    parts: readonly string[],
  ): Candidate["holdings"] {
    const present = dataKinds.filter((each) => kinds.includes(each) && wanted.includes(each));
    if (present.length === 0) return {};
    const holding = [...present, ...parts.toSorted()];
    const name = JSON.stringify(holding);
    const known = this.#holdings.get(name) ?? holding;
    this.#holdings.set(name, known);
    return { [kind]: known };
  }
}

function namesOf(folders: ManifestFacts["folders"], kinds: readonly DataKind[]): string[] {
  return folders.filter(({ kind }) => kinds.includes(kind)).map(({ kind, name }) => `${kind} ${name}`);
}

/** What the length of a recovery point's lock is decided by. */
export function lockedCandidateOf(recoveryPoint: RecoveryPoint): LockedCandidate {
  return new CandidateMaker().candidateOf(recoveryPoint, {
    ...{ epochs: [], heldBy: [], isQuarantined: false, isVerified: false },
  });
}
