/** Looks at the whole repository, and says what of it retention keeps, what it drops and what the kept needs. It changes nothing. */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import { formatSeconds } from "../../domain/format.ts";
import {
  type Candidate,
  clockToleranceMs,
  decideKept,
  type RetentionDecision,
} from "../../domain/history/decide-kept.ts";
import type { RepositoryCounts } from "../../domain/history/prune-records.ts";
import { findingsAbout, standingQuarantines } from "../../domain/recovery-points/quarantine.ts";
import { attestationKeyOf, readAttestations } from "../../repository/catalog/attestations.ts";
import { listOne } from "../../repository/catalog/listed-recovery-points.ts";
import { CandidateMaker } from "../../repository/prune/candidates.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { ReferenceCount, readFacts } from "./count-references.ts";
import { countStream } from "./count-stream.ts";
import { findHolders, type Holders } from "./find-holders.ts";
import { listRepository, type RepositoryListing } from "./list-repository.ts";
import { type PruneContext, pruneRefused } from "./prune-context.ts";

const readAtOnce = 8;
const mostNamed = 5;
const saysForPrune = /^(verified|quarantined|folders-quarantined|doubted|released|healed)$/;

export interface Look {
  readonly listing: RepositoryListing;
  readonly holders: Holders;
}

export interface Survey extends Look {
  readonly decision: RetentionDecision;
  readonly references: ReferenceCount;
  /** States of the stream. */
  readonly states: ReadonlySet<string>;
  /** Recovery points that can be restored, of those that were counted. */
  readonly restorable: ReadonlySet<string>;
}

/** What must at least be listed. */
export interface Expected {
  readonly counts: RepositoryCounts;
  readonly recoveryPoints: readonly string[];
}

export interface SurveyRequest extends PruneContext {
  /** By the store's clock. */
  readonly storeNow: Date;
  /** Undefined when nothing is known of earlier. */
  readonly expected: Expected | undefined;
  /** What is decided now is carried out so much later: what will not be wanted then is dropped. */
  readonly aheadMs?: number;
  /** The recovery points that may go: all others are counted. Left out: those that are kept are counted. */
  readonly deletable?: ReadonlySet<string>;
}

/** Lists the repository, and reads who needs what. Throws PRUNE_REFUSED when that is no ground to delete anything. */
export async function lookAtRepository(request: SurveyRequest): Promise<Look> {
  const { clock, expected, progress, repository, storeNow } = request;
  if (Math.abs(storeNow.getTime() - clock.now().getTime()) > clockToleranceMs) {
    throw pruneRefused(
      `this machine's clock shows ${clock.now().toISOString()} and the store's ${storeNow.toISOString()}`,
      "set the clock that is wrong: history is thinned by age",
    );
  }
  progress({ step: "list", detail: "what the repository holds" });
  const listing = await listRepository(repository.stores.repository);
  if (!request.acceptsFewer) refuseShrunken(listing, expected);
  const unreadable = new Set<string>();
  const holders = await findHolders(repository, listing, storeNow, (key) => unreadable.add(key));
  refuseUnreadable(unreadable);
  return { listing, holders };
}

/** Decides about every recovery point, and counts what is needed. Throws PRUNE_REFUSED when that is no ground to delete anything. */
export async function surveyRepository(request: SurveyRequest): Promise<Survey> {
  const { aheadMs = 0, clock, deletable, progress, repository, retention, storeNow } = request;
  const { holders, listing } = await lookAtRepository(request);
  // The earlier one: who is ahead must not make history older than it is.
  const now = new Date(Math.min(storeNow.getTime(), clock.now().getTime()));
  const unreadable = new Set<string>();
  progress({ step: "read", detail: `${listing.recoveryPoints.size} recovery points` });
  const candidates = await readCandidates(request, listing, holders, unreadable);
  refuseUnreadable(unreadable);
  const references = new ReferenceCount(repository, listing);
  const states = await countStream(repository, listing.marks, unreadable);
  refuseUnreadable(unreadable);
  for (let known = -1; ; ) {
    const decision = decideKept(
      candidates.map((each) => (references.incomplete.has(each.id) ? { ...each, isRestorable: false } : each)),
      retention,
      new Date(now.getTime() + aheadMs),
    );
    const toCount =
      deletable === undefined
        ? [...decision.kept.keys()]
        : candidates.flatMap(({ id }) => (deletable.has(id) && !decision.kept.has(id) ? [] : [id]));
    await references.count(toCount);
    refuseUnreadable(references.unreadable);
    if (references.incomplete.size === known || references.incomplete.size === 0) {
      const restorable = candidates.filter(
        ({ id, isRestorable }) => isRestorable && decision.kept.has(id) && !references.incomplete.has(id),
      );
      refuseUnlessAlive(restorable, listing, request, now);
      return { listing, holders, decision, references, states, restorable: new Set(restorable.map(({ id }) => id)) };
    }
    known = references.incomplete.size;
  }
}

async function readCandidates(
  { giveUp, repository }: SurveyRequest,
  listing: RepositoryListing,
  { epochs, heldBy }: Holders,
  unreadable: Set<string>,
): Promise<Candidate[]> {
  const maker = new CandidateMaker();
  const candidates: Candidate[] = [];
  await forEachConcurrently(readAtOnce, [...listing.recoveryPoints], async (id) => {
    const isGivenUp = giveUp.includes(id);
    const facts = await readFacts(repository, id, isGivenUp ? new Set() : unreadable);
    if (facts === undefined) return;
    const attested = await readAttestationsOf(repository, listing, id);
    // When its manifest was stored says whether a doubt of it counts.
    const isDoubted = attested.some(({ kind }) => kind === "doubted");
    const listed = isDoubted ? await listOne(repository.stores.repository, id) : undefined;
    const candidate = maker.candidateOf(facts, {
      epochs,
      isQuarantined: standingQuarantines(findingsAbout(facts, attested, { storedAt: listed?.storedAt })).length > 0,
      isVerified: attested.some(({ kind }) => kind === "verified"),
      heldBy: heldBy.get(id) ?? [],
    });
    if (!isGivenUp) candidates.push(candidate);
    else if (candidate.isRestorable || candidate.heldBy.length > 0) throw notGivenUp(candidate);
  });
  return candidates;
}

/** What counts is what is signed: of a million recovery points, what each says is read beside its manifest. */
function readAttestationsOf(repository: OpenRepository, { attestations }: RepositoryListing, id: string) {
  const keys = (attestations.get(id) ?? []).flatMap((object) => {
    const key = attestationKeyOf(object);
    return key !== undefined && saysForPrune.test(key.finding) ? [key] : [];
  });
  return readAttestations(repository.stores.repository, keys);
}

function notGivenUp({ heldBy, id }: Candidate) {
  const why = heldBy.length > 0 ? heldBy.join(", ") : "it is not quarantined, and its manifest can be read";
  return pruneRefused(
    `${id} is not given up: ${why}`,
    "only what is quarantined or cannot be read can be given up; `qdrant-dr verify` quarantines what is damaged",
  );
}

function refuseShrunken({ counts, recoveryPoints }: RepositoryListing, expected: Expected | undefined): void {
  const hint =
    "see whether it is the right store, whole and mounted; if something was taken away on purpose, repeat with --accept-fewer";
  const content = counts.packs + counts.trees + counts.facts;
  if (recoveryPoints.size === 0 && content > 0) {
    throw pruneRefused(`no recovery point is listed, and ${content} packs, trees and facts are`, hint);
  }
  if (expected === undefined) return;
  for (const what of ["recoveryPoints", "trees", "facts", "packs"] as const) {
    if (counts[what] >= expected.counts[what]) continue;
    const name = what === "recoveryPoints" ? "recovery points" : what;
    throw pruneRefused(`${counts[what]} ${name} are listed where at least ${expected.counts[what]} must be`, hint);
  }
  const gone = expected.recoveryPoints.filter((id) => !recoveryPoints.has(id));
  if (gone.length === 0) return;
  throw pruneRefused(`recovery points that were kept are not listed: ${named(gone)}`, hint);
}

function refuseUnreadable(unreadable: ReadonlySet<string>): void {
  if (unreadable.size === 0) return;
  throw pruneRefused(
    `what cannot be read may need anything: ${named([...unreadable])}`,
    "bring the damaged objects again with `qdrant-dr copy`, or update qdrant-dr if a newer version wrote them; a recovery point that is lost for good is given up with --give-up",
  );
}

/** A schedule that is dead must not thin away what it left. */
function refuseUnlessAlive(
  restorable: readonly Candidate[],
  { recoveryPoints }: RepositoryListing,
  { retention }: SurveyRequest,
  now: Date,
): void {
  if (recoveryPoints.size === 0) return;
  const ofQdrant = restorable.filter(({ holdings }) => holdings.qdrant !== undefined);
  const judged = ofQdrant.length > 0 ? ofQdrant : restorable;
  if (judged.length === 0) {
    throw pruneRefused(
      "no recovery point can be restored",
      "look at `qdrant-dr recovery-points list`, and capture a new one",
    );
  }
  // What lies in the future says nothing of when the schedule ran.
  const startedMs = judged
    .map(({ startedAt }) => Date.parse(startedAt))
    .filter((started) => started <= now.getTime() + clockToleranceMs);
  const ageMs = now.getTime() - Math.max(...startedMs);
  if (ageMs <= retention.newestWithinHours * 3_600_000) return;
  throw pruneRefused(
    `the newest recovery point that can be restored is ${startedMs.length === 0 ? "of the future" : `${formatSeconds(ageMs / 1000)} old`}, and retention.newestWithinHours is ${retention.newestWithinHours}`,
    "see why captures have stopped; history is thinned again when there is a new one",
  );
}

function named(names: readonly string[]): string {
  const more = names.length - mostNamed;
  return `${names.slice(0, mostNamed).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
