/**
 * Makes a recovery point of the history of a state of the stream: what it needs is brought beside what the history has, verified, its
 * manifest last.
 */
import { createHash } from "node:crypto";
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import {
  contentKinds,
  contentPrefix,
  keyBelowStream,
  parseStoreKey,
  storeLayout,
} from "../../domain/recovery-points/store-layout.ts";
import { DrError, hasCode } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import { attest } from "../catalog/attest.ts";
import { keepSessionAlive, signalSession } from "../catalog/capture-session.ts";
import { objectsNeeded } from "../content/objects-needed.ts";
import { lookAtPrunes, refusePruned } from "../prune/prune-sight.ts";
import { getWhole, keysUnder } from "../record.ts";
import type { OpenRepository } from "../repository.ts";

const objectsAtOnce = 4;

export interface BringRequest {
  /** With its stream. */
  readonly repository: OpenRepository;
  readonly state: RecoveryPoint;
  /** What it is called in the history. */
  readonly id: string;
  readonly clock: Clock;
}

export async function bringToHistory({ clock, id, repository, state }: BringRequest): Promise<RecoveryPoint> {
  const { history } = repository;
  const { control } = history.stores;
  const prunes = await lookAtPrunes(control);
  const stopSigns = await announce({ clock, id, repository, state });
  try {
    await bringObjects(repository, state);
    const kept: RecoveryPoint = { ...state, id, base: state.base };
    const refuse = () => refusePruned(control, prunes, () => objectsNeeded(history, kept));
    await refuse();
    await history.createRecoveryPoint(kept);
    try {
      await refuse();
    } catch (error) {
      // It is there by now, and must not be taken for one that is whole.
      if (hasCode(error, "CAPTURE_INCOMPLETE")) {
        await attest(history, "quarantined", kept, { at: clock.now(), region: kept.region, detail: error.message });
      }
      throw error;
    }
    return kept;
  } finally {
    stopSigns();
  }
}

/** Those who delete, of the stream and of the history, spare what is under way as long as signs of life are given. */
async function announce({ clock, id, repository, state }: BringRequest): Promise<() => void> {
  await signalSession(repository, state.id, clock.now());
  await signalSession(repository.history, id, clock.now());
  const ends = [
    keepSessionAlive(repository, state.id, () => clock.now()),
    keepSessionAlive(repository.history, id, () => clock.now()),
  ];
  return () => {
    for (const end of ends) end();
  };
}

async function bringObjects(repository: OpenRepository, state: RecoveryPoint): Promise<void> {
  const store = repository.history.stores.repository;
  const needed = await objectsNeeded(repository, state);
  // Packs before the trees that name them.
  for (const kind of contentKinds.toReversed()) {
    const streamed = await keysUnder(store, storeLayout.inStream(contentPrefix(kind)));
    const keys = streamed.flatMap((key) => keyBelowStream(key) ?? []).filter((key) => needed.has(key));
    await forEachConcurrently(objectsAtOnce, keys, async (key) => {
      const bytes = await getWhole(store, storeLayout.inStream(key));
      await checkNamed(repository, key, bytes);
      await store.create(key, bytes);
    });
  }
}

/** Nothing that is created can be replaced: what comes is looked at first. */
async function checkNamed(repository: OpenRepository, key: string, bytes: Buffer): Promise<void> {
  const parsed = parseStoreKey(key);
  if (parsed?.kind !== "pack") return repository.checkSealed(key, bytes);
  if (createHash("sha256").update(bytes).digest("hex") === parsed.id) return;
  throw new DrError("OBJECT_CORRUPT", `${storeLayout.inStream(key)} does not hold what its name says`, {
    hint: "take a full capture: replication makes a new state of all that there is",
  });
}
