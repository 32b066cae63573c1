/** One look at the region that is to serve: several signals at once, none of which is waited for long. */
import type { Look, Signal } from "../../domain/health/judge-region.ts";
import { repositorySchema } from "../../domain/recovery-points/recovery-point.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { journalInWords } from "../../domain/roles/gate-journal.ts";
import { hasCode } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Gate } from "../../ports/gate.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import type { CollectionReader } from "../../ports/qdrant.ts";
import { readEpochs } from "../../repository/control/epochs.ts";
import { readRecord, unlessMissing } from "../../repository/record.ts";
import { ask, type ObservedRegion } from "./observed-region.ts";

/** @param witness the other region, where it is known: it answers unless the one who looks is cut off. */
export async function lookAtRegion(
  observed: ObservedRegion,
  witness: ObservedRegion | undefined,
  clock: Clock,
  answerMs: number,
): Promise<Look> {
  const at = clock.now();
  const { database, stores } = observed;
  const [qdrant, gate, endpoint, store, control, other] = await Promise.all([
    signal(answerMs, "Qdrant", () => collectionsIn(database)),
    gateSignal(observed.gate, answerMs),
    publicSignal(observed, answerMs),
    signal(answerMs, "the repository", () => repositoryIn(stores.repository)),
    signal(answerMs, "the control store", () => epochIn(stores.control)),
    witnessSignal(witness, answerMs),
  ]);
  return { at, signals: { qdrant, gate, endpoint, store, control, witness: other } };
}

async function gateSignal(gate: Gate | undefined, answerMs: number): Promise<Signal> {
  if (gate === undefined) return { state: "unknown", detail: "nothing stands in front of Qdrant" };
  const asked = await ask(answerMs, "the gate", () => gate.state());
  if ("problem" in asked) return asState(asked);
  const { isOpen, journal, reason } = asked.value;
  return isOpen
    ? { state: "good", detail: `open: ${reason}${journalInWords(journal)}` }
    : { state: "bad", detail: `closed: ${reason}` };
}

async function publicSignal(observed: ObservedRegion, answerMs: number): Promise<Signal> {
  const { publicDatabase, region } = observed;
  if (publicDatabase === undefined) return { state: "unknown", detail: "the region has no public name" };
  const [led, answer] = await Promise.all([
    ask(answerMs, "the traffic control", async () => observed.traffic().current()),
    signal(answerMs, "the public name", () => collectionsIn(publicDatabase)),
  ]);
  // Then it says nothing of the region: whoever stands between may be what is dead.
  if ("problem" in led) return { state: "unknown", detail: led.problem };
  if (led.value?.region !== region) {
    return { state: "unknown", detail: `clients are led to ${led.value?.region ?? "no region"}` };
  }
  return answer;
}

async function witnessSignal(witness: ObservedRegion | undefined, answerMs: number): Promise<Signal> {
  if (witness === undefined) return { state: "unknown", detail: "the other region is not known here" };
  const answers = await Promise.all([
    signal(answerMs, "Qdrant", () => collectionsIn(witness.database)),
    signal(answerMs, "the repository", () => repositoryIn(witness.stores.repository)),
  ]);
  const seen = answers.some(({ state }) => state === "good");
  return seen
    ? { state: "good", detail: `${witness.region} answers` }
    : { state: "bad", detail: `${witness.region} does not answer either` };
}

async function signal(answerMs: number, what: string, question: () => Promise<string>): Promise<Signal> {
  const answer = await ask(answerMs, what, question);
  return "value" in answer ? { state: "good", detail: answer.value } : asState(answer);
}

/** A server that refuses our key is alive; whether it serves clients is not known. */
function asState({ error, problem }: { readonly error: unknown; readonly problem: string }): Signal {
  return { state: hasCode(error, "ACCESS_DENIED") ? "unknown" : "bad", detail: problem };
}

async function collectionsIn(database: CollectionReader): Promise<string> {
  return `${(await database.collections()).length} collections`;
}

async function repositoryIn(store: ObjectStoreReader): Promise<string> {
  // What nobody signed who is trusted with it is no sign of life: whatever is asked, it may be all that this server answers.
  const description = await unlessMissing(readRecord(store, storeLayout.repository, repositorySchema));
  return description === undefined ? "answers; holds no recovery points" : "answers";
}

async function epochIn(control: ObjectStoreReader): Promise<string> {
  const epochs = (await readEpochs(control)).map(({ epoch }) => epoch);
  return epochs.length === 0 ? "answers; holds no epoch" : `epoch ${Math.max(...epochs)}`;
}
