/**
 * Deletes what the stream of a repository held an hour ago. It needs no plan and no second phase: whoever writes there builds on what was
 * the newest within the last minutes, and that is kept for an hour. States go before what they need, so that a kill at any point leaves
 * nothing that is listed and not whole.
 */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import { compareAge } from "../../domain/recovery-points/order.ts";
import {
  capturesOf,
  type DataKind,
  dataKinds,
  isExact,
  type RecoveryPoint,
} from "../../domain/recovery-points/recovery-point.ts";
import {
  contentKinds,
  contentPrefix,
  keyBelowStream,
  parseContentKey,
  parseStoreKey,
  storeLayout,
} from "../../domain/recovery-points/store-layout.ts";
import { treePacksSchema } from "../../domain/recovery-points/stored-content.ts";
import { hasCode } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Progress } from "../../ports/progress.ts";
import { mostKeysAtOnce, type PrunableStore } from "../../ports/prunable-store.ts";
import { ignoreUnreadable } from "../../repository/record.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { HeldRecoveryPoints } from "./held-recovery-points.ts";
import { told } from "./list-repository.ts";
import { pruneRefused } from "./prune-context.ts";

const keptMs = 3_600_000;
/** A capture, or a state that is brought into the history, gives a sign of life every ten minutes. */
const silentMs = 3_600_000;
/** So many of the newest states of each kind stay, however old they are. */
const newestKept = 3;
const readAtOnce = 8;
/** Locks are of days: asking in each round would be thousands of requests for nothing. */
const locksLastMs = 24 * 3_600_000;

export interface StreamPruneRequest {
  readonly repository: OpenRepository;
  readonly prunable: PrunableStore;
  readonly clock: Clock;
  readonly progress: Progress;
}

export interface StreamPruneReport {
  /** States that the stream holds now. */
  readonly states: number;
  readonly deletedStates: number;
  readonly deletedObjects: number;
  readonly deletedBytes: number;
}

interface Listed {
  readonly storedAt: Date;
  readonly size: number;
}

interface ListedState extends Listed {
  readonly id: string;
  readonly key: string;
}

interface Session {
  readonly records: Map<string, Listed>;
  hasPlan: boolean;
  begunAt: Date;
  aliveAt: Date;
}

interface Listing {
  readonly states: readonly ListedState[];
  readonly sessions: ReadonlyMap<string, Session>;
}

/** What a state needs; undefined where that cannot be read. */
interface StateFacts {
  readonly kinds: readonly DataKind[];
  readonly isExact: boolean;
  /** Keys, as they would be in the history. */
  readonly needed: readonly string[];
}

/** Of one stream, for as many rounds as its process lives. */
export class StreamPruner {
  readonly #request: StreamPruneRequest;
  readonly #repository: OpenRepository;
  /** Of states that were read; nothing of them ever changes. */
  readonly #facts = new Map<string, StateFacts>();
  readonly #packs = new Map<string, readonly string[]>();
  /** What the store keeps, and until when nobody asks again, by the monotonic clock. */
  readonly #locked = new Map<string, number>();
  /** The states that the last round left. */
  #left: ReadonlySet<string> = new Set();

  constructor(request: StreamPruneRequest) {
    this.#request = request;
    this.#repository = request.repository.withStream();
  }

  /** Throws PRUNE_REFUSED when what is listed is no ground to delete anything. */
  async round(): Promise<StreamPruneReport> {
    const listing = await this.#list();
    const { sessions, states } = listing;
    if (states.length === 0) return { states: 0, deletedStates: 0, deletedObjects: 0, deletedBytes: 0 };
    const old = this.#oldAt(listing);
    const held = await HeldRecoveryPoints.find(this.#repository, old.now, ignoreUnreadable);
    for (const [name, { aliveAt, hasPlan }] of sessions) {
      // A state that is brought into the history has signs of life and no plan.
      if (!hasPlan && old.now.getTime() - aliveAt.getTime() <= silentMs)
        held.hold(name, "it is brought into the history");
    }
    const kept = await this.#choose(states, old, held);
    const needed = await this.#neededBy(kept);
    const dropped = states.filter(({ id }) => !kept.has(id));
    const deleted = await this.#delete(dropped);
    const isListed = new Set(states.map(({ id }) => id));
    const isUnderWay = (name: string, { aliveAt, hasPlan }: Session) =>
      hasPlan && !isListed.has(name) && old.now.getTime() - aliveAt.getTime() <= silentMs;
    const underWay = [...sessions].filter(([name, session]) => isUnderWay(name, session));
    const begun = underWay.map(([, { begunAt }]) => begunAt.getTime());
    const content = await this.#deleteContent(Math.min(old.before.getTime(), ...begun), needed);
    const ended = [...sessions].filter(
      ([name, { aliveAt }]) => aliveAt < old.before && !underWay.some(([each]) => each === name),
    );
    await this.#delete(ended.flatMap(([, { records }]) => [...records].map(([key, { size }]) => ({ key, size }))));
    this.#left = new Set(kept.keys());
    for (const id of this.#facts.keys()) if (!kept.has(id)) this.#facts.delete(id);
    return { states: states.length - deleted.length, deletedStates: deleted.length, ...content };
  }

  /** States before sessions: what is stored after that is young. Of two listings each shows what the other lacks. */
  async #list(): Promise<Listing> {
    const states = new Map<string, ListedState>();
    for (let time = 0; time < 2; time += 1) {
      for await (const { key, size, storedAt } of this.#store.list(storeLayout.inStream(storeLayout.recoveryPoints))) {
        const parsed = parseStoreKey(keyBelowStream(key) ?? key);
        if (parsed?.kind !== "manifest") continue;
        states.set(parsed.recoveryPointId, { id: parsed.recoveryPointId, key, size, storedAt: told(key, storedAt) });
      }
    }
    const gone = [...this.#left].find((id) => !states.has(id));
    if (gone !== undefined) {
      this.#left = new Set();
      throw pruneRefused(
        `${storeLayout.stream} held ${gone} a moment ago, and does not list it now`,
        "see whether the store's listings can be relied on, and whether something else deletes there",
      );
    }
    const sessions = new Map<string, Session>();
    for await (const { key, size, storedAt } of this.#store.list(storeLayout.inStream(storeLayout.sessions))) {
      const parsed = parseStoreKey(keyBelowStream(key) ?? key);
      if (parsed === undefined || !("session" in parsed)) continue;
      const at = told(key, storedAt);
      const known = sessions.get(parsed.session) ?? { records: new Map(), hasPlan: false, begunAt: at, aliveAt: at };
      sessions.set(parsed.session, known);
      known.records.set(key, { size, storedAt: at });
      known.hasPlan ||= parsed.kind === "capture-plan";
      if (at < known.begunAt) known.begunAt = at;
      if (at > known.aliveAt) known.aliveAt = at;
    }
    return { states: [...states.values()], sessions };
  }

  /** This machine's clock may be ahead: it is never believed to be more than an hour after what was stored last. */
  #oldAt({ sessions, states }: Listing): { readonly now: Date; readonly before: Date } {
    const stored = [...states.map(({ storedAt }) => storedAt), ...[...sessions.values()].map(({ aliveAt }) => aliveAt)];
    const newest = Math.max(...stored.map((at) => at.getTime()));
    const now = Math.min(this.#request.clock.now().getTime(), newest + keptMs);
    return { now: new Date(now), before: new Date(now - keptMs) };
  }

  async #choose(
    states: readonly ListedState[],
    { before }: { readonly before: Date },
    { heldBy }: HeldRecoveryPoints,
  ): Promise<ReadonlyMap<string, StateFacts | undefined>> {
    const newestFirst = [...states].sort((a, b) => compareAge(b, a));
    await forEachConcurrently(readAtOnce, newestFirst, ({ id }) => this.#learn(id));
    const wanted = new Set(
      newestFirst.filter(({ id, storedAt }) => storedAt >= before || heldBy.has(id)).map(({ id }) => id),
    );
    for (const kind of dataKinds) {
      const ofKind = newestFirst.filter(({ id }) => this.#facts.get(id)?.kinds.includes(kind));
      const exact = ofKind.find(({ id }) => this.#facts.get(id)?.isExact);
      // Somebody may have begun to build on it an hour ago.
      const newestThen = ofKind.find(({ storedAt }) => storedAt < before);
      for (const each of [...ofKind.slice(0, newestKept), exact, newestThen])
        if (each !== undefined) wanted.add(each.id);
    }
    return new Map([...wanted].map((id) => [id, this.#facts.get(id)]));
  }

  /** Undefined when it cannot be said: what cannot be read may need anything. */
  async #neededBy(kept: ReadonlyMap<string, StateFacts | undefined>): Promise<ReadonlySet<string> | undefined> {
    const needed = new Set<string>();
    for (const [id, facts] of kept) {
      if (facts === undefined) {
        const detail = `the state ${id} of the stream cannot be read, and may need anything: no pack is deleted while it is kept`;
        this.#request.progress({ step: "stream", detail });
        return undefined;
      }
      for (const key of facts.needed) needed.add(key);
    }
    return needed;
  }

  async #learn(id: string): Promise<void> {
    if (this.#facts.has(id)) return;
    try {
      const state = await this.#repository.readRecoveryPoint(id);
      this.#facts.set(id, { kinds: state.kinds, isExact: isExact(state), needed: await this.#needs(state) });
    } catch (error) {
      // One that is gone by now is no state; another run may delete, too.
      if (!hasCode(error, "OBJECT_CORRUPT", "NOT_AUTHENTIC", "KEY_UNAVAILABLE", "OBJECT_NOT_FOUND")) throw error;
    }
  }

  async #needs(state: RecoveryPoint): Promise<string[]> {
    const needed = new Set(state.collections.map(({ facts }) => storeLayout.collectionFacts(facts)));
    for (const { tree } of capturesOf(state)) {
      let packs = this.#packs.get(tree.id);
      if (packs === undefined) {
        packs = (await this.#repository.readTree(tree.id, treePacksSchema)).packs.map(({ id }) => storeLayout.pack(id));
        this.#packs.set(tree.id, packs);
      }
      needed.add(storeLayout.tree(tree.id));
      for (const pack of packs) needed.add(pack);
    }
    return [...needed];
  }

  async #deleteContent(
    beforeMs: number,
    needed: ReadonlySet<string> | undefined,
  ): Promise<{ deletedObjects: number; deletedBytes: number }> {
    let [deletedObjects, deletedBytes] = [0, 0];
    if (needed === undefined) return { deletedObjects, deletedBytes };
    // Trees before the packs that they name.
    for (const kind of contentKinds) {
      const unneeded: { readonly key: string; readonly size: number }[] = [];
      for await (const { key, size, storedAt } of this.#store.list(storeLayout.inStream(contentPrefix(kind)))) {
        const below = keyBelowStream(key) ?? key;
        if (parseContentKey(below) === undefined || needed.has(below)) continue;
        if (told(key, storedAt).getTime() >= beforeMs) continue;
        unneeded.push({ key, size });
      }
      const deleted = await this.#delete(unneeded);
      deletedObjects += deleted.length;
      for (const { size } of deleted) deletedBytes += size;
    }
    return { deletedObjects, deletedBytes };
  }

  /** @returns those that are gone now. What the store keeps is asked for again a day later. */
  async #delete<Item extends { readonly key: string }>(objects: readonly Item[]): Promise<Item[]> {
    const { clock, progress, prunable } = this.#request;
    for (const [key, until] of this.#locked) if (until <= clock.monotonic()) this.#locked.delete(key);
    const asked = objects.filter(({ key }) => !this.#locked.has(key));
    const deleted: Item[] = [];
    for (let start = 0; start < asked.length; start += mostKeysAtOnce) {
      const few = asked.slice(start, start + mostKeysAtOnce);
      const locked = await prunable.delete(few.map(({ key }) => key));
      for (const { key } of locked) this.#locked.set(key, clock.monotonic() + locksLastMs);
      deleted.push(...few.filter(({ key }) => !this.#locked.has(key)));
      const [first] = locked;
      if (first === undefined) continue;
      const more = locked.length === 1 ? "" : `, and ${locked.length - 1} more objects are`;
      progress({ step: "stream", detail: `${first.key} is kept by the store: ${first.reason}${more}` });
    }
    return deleted;
  }

  get #store() {
    return this.#repository.history.stores.repository;
  }
}
