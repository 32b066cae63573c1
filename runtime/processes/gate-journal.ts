/** The journal of the gate's process: its parts, put together. */
import { hostname } from "node:os";
import { AgeKeyWrap } from "../adapters/age-key-wrap.ts";
import { FileSpool } from "../adapters/gate/file-spool.ts";
import { WholeAnswers } from "../adapters/gate/whole-answers.ts";
import { openStore } from "../adapters/stores/open-store.ts";
import type { GateEnvironment } from "../domain/roles/gate-environment.ts";
import { toDrError } from "../errors.ts";
import { JournalWriter, type TakeoverTries } from "../repository/journal/journal-writer.ts";
import { SignedStore } from "../repository/signed-store.ts";
import { systemClock } from "../time/system-clock.ts";
import { JournalBuffer } from "../workflows/gate/journal/journal-buffer.ts";
import { JournalKeeper } from "../workflows/gate/journal/journal-keeper.ts";

export interface GateJournalProcess {
  readonly keeper: JournalKeeper;
  /** When the region may write. */
  begin(): void;
  end(): Promise<void>;
}

/** Undefined when the gate keeps no journal. @param apiKey Qdrant's own at present. */
export function openGateJournal(given: GateEnvironment, apiKey: () => string): GateJournalProcess | undefined {
  const { QDRANT_DR_GATE_JOURNAL: settings, QDRANT_DR_GATE_JOURNAL_STORE: address, QDRANT_DR_GATE_PEER: peer } = given;
  if (settings === undefined || address === undefined || peer === undefined) return undefined;
  const tell = (text: string) => void process.stderr.write(`${text}\n`);
  const trust = given.QDRANT_DR_GATE_TRUST;
  const store = new SignedStore(openStore(address, { busyMs: 0 }), {
    trust,
    trustId: trust.id,
    region: peer,
    store: "repository",
    signingKey: given.QDRANT_DR_GATE_SIGNING_KEY,
  });
  const clock = systemClock;
  const wrap = new AgeKeyWrap({ recipients: settings.recipients, identity: undefined });
  const writing = { store, region: given.QDRANT_DR_GATE_REGION, writer: `${hostname()} ${process.pid}`, wrap, clock };
  const spool = new FileSpool(settings.spool);
  const qdrant = new WholeAnswers(given.QDRANT_DR_GATE_UPSTREAM.url, apiKey);
  const buffer = new JournalBuffer({ settings, spool, clock, tell });
  const tries: TakeoverTries = {};
  const keeper = new JournalKeeper({
    qdrant,
    spool,
    buffer,
    clock,
    tell,
    takeOver: () => JournalWriter.takeOver(writing, tries),
    onStoreDown: settings.onStoreDown,
  });
  let problem: string | undefined;
  return {
    keeper,
    // Called at every look: it goes on where it failed.
    begin: () =>
      void keeper.begin().catch((error: unknown) => {
        const { message } = toDrError(error);
        if (message !== problem) tell(`the journal has not begun: ${message}`);
        problem = message;
      }),
    async end() {
      await keeper.end();
      qdrant.close();
    },
  };
}
