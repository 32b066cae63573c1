/** One look at all that a repository lists, in bounded memory: names of recovery points, of sessions, and marks of what is named by its content. */
import { ObjectMarks } from "../../domain/history/object-marks.ts";
import { countedAs, type RepositoryCounts } from "../../domain/history/prune-records.ts";
import {
  type ContentKind,
  contentKinds,
  contentPrefix,
  parseContentKey,
  parseStoreKey,
  storeLayout,
} from "../../domain/recovery-points/store-layout.ts";
import { DrError } from "../../errors.ts";
import type { ObjectStoreReader, StoredObject } from "../../ports/object-store.ts";
import { pruneRefused } from "./prune-context.ts";

export interface ListedObject {
  readonly kind: ContentKind;
  readonly id: string;
  readonly key: string;
  readonly size: number;
  readonly storedAt: Date;
}

export interface ListedSession {
  readonly hasPlan: boolean;
  readonly isCommitted: boolean;
  readonly begunAt: Date;
  /** Of its newest record. */
  readonly aliveAt: Date;
  readonly records: readonly { readonly key: string; readonly size: number }[];
}

export interface RepositoryListing {
  /** Ids of the recovery points whose manifests are listed. */
  readonly recoveryPoints: ReadonlySet<string>;
  /** Attestations, by the recovery point. */
  readonly attestations: ReadonlyMap<string, readonly StoredObject[]>;
  readonly sessions: ReadonlyMap<string, ListedSession>;
  readonly marks: ObjectMarks;
  readonly counts: RepositoryCounts;
}

/** Manifests before what they need: what is written after the first listing can only be more. */
export async function listRepository(store: ObjectStoreReader): Promise<RepositoryListing> {
  const listed = await listRecoveryPoints(store);
  const sessions = await listSessions(store);
  const before = await countContent(store);
  const marks = new ObjectMarks(Math.ceil((before.packs + before.trees + before.facts) * 1.05) + 10_000);
  const counted = { packs: 0, trees: 0, facts: 0 };
  for await (const { id, kind, size } of listContent(store)) {
    marks.list(kind, id, size);
    counted[countedAs[kind]] += 1;
  }
  // Nobody else deletes: of two listings the later one shows at least as much, or one of them is short.
  const again = new Set((await listRecoveryPoints(store)).recoveryPoints);
  const gone = [...listed.recoveryPoints].find((id) => !again.has(id));
  const shows = (what: keyof typeof counted) => counted[what] >= before[what];
  if (gone !== undefined || !shows("packs") || !shows("trees") || !shows("facts")) {
    throw pruneRefused(
      gone === undefined
        ? "a second listing of packs, trees and facts shows fewer"
        : `a second listing does not show ${gone}`,
      "the store's listings cannot be relied on, or something else deletes: find out which, then run it again",
    );
  }
  return { ...listed, sessions, marks, counts: { recoveryPoints: listed.recoveryPoints.size, ...counted } };
}

/** What is named by its content, of this tool; what has another name is left alone. */
export async function* listContent(store: ObjectStoreReader): AsyncGenerator<ListedObject> {
  for (const kind of contentKinds) {
    for await (const { key, size, storedAt } of store.list(contentPrefix(kind))) {
      const parsed = parseContentKey(key);
      if (parsed !== undefined) yield { ...parsed, key, size, storedAt: told(key, storedAt) };
    }
  }
}

async function countContent(store: ObjectStoreReader): Promise<Omit<RepositoryCounts, "recoveryPoints">> {
  const counts = { packs: 0, trees: 0, facts: 0 };
  for await (const { kind } of listContent(store)) counts[countedAs[kind]] += 1;
  return counts;
}

async function listRecoveryPoints(
  store: ObjectStoreReader,
): Promise<Pick<RepositoryListing, "recoveryPoints" | "attestations">> {
  const recoveryPoints = new Set<string>();
  const attestations = new Map<string, StoredObject[]>();
  for await (const object of store.list(storeLayout.recoveryPoints)) {
    const parsed = parseStoreKey(object.key);
    if (parsed?.kind === "manifest") recoveryPoints.add(parsed.recoveryPointId);
    if (parsed?.kind !== "attestation") continue;
    const { recoveryPointId } = parsed;
    const known = attestations.get(recoveryPointId) ?? [];
    attestations.set(recoveryPointId, known);
    known.push(object);
  }
  return { recoveryPoints, attestations };
}

async function listSessions(store: ObjectStoreReader): Promise<Map<string, ListedSession>> {
  const sessions = new Map<string, ListedSession>();
  for await (const { key, size, storedAt } of store.list(storeLayout.sessions)) {
    const parsed = parseStoreKey(key);
    if (parsed === undefined || !("session" in parsed)) continue;
    const at = told(key, storedAt);
    const known = sessions.get(parsed.session);
    sessions.set(parsed.session, {
      hasPlan: known?.hasPlan === true || parsed.kind === "capture-plan",
      isCommitted: known?.isCommitted === true || parsed.kind === "capture-committed",
      begunAt: known === undefined || at < known.begunAt ? at : known.begunAt,
      aliveAt: known === undefined || at > known.aliveAt ? at : known.aliveAt,
      records: [...(known?.records ?? []), { key, size }],
    });
  }
  return sessions;
}

export function told(key: string, storedAt: Date | undefined): Date {
  if (storedAt !== undefined) return storedAt;
  throw new DrError("NOT_SUPPORTED", `the store does not tell when ${key} was stored`, {
    hint: "prune needs a store that tells it in its listings, as S3 and folders do; nothing was deleted",
  });
}
