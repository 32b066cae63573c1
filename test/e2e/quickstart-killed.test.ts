import { once } from "node:events";
import { mkdtempSync, rmSync, watch } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import type { PracticeResult } from "../../quickstart/domain/practice-result.ts";
import { estatesIn, type Footprint, footprintOf, remainsOf } from "../support/estates/estate-remains.ts";
import { howMany, isProof } from "../support/how-many.ts";
import { Product } from "../support/product.ts";

const points = 1_500;
/** Numbers of the writing client; those of the loaded documents are below. */
const firstClientNumber = 1_000_000_000;
const firstStep = /^Provision two regions/;
/** The last one first: how long a run takes is known then. Two chains kill in turn. */
const allSteps: Readonly<Record<string, RegExp>> = {
  measure: /^Measure what/,
  failover: /^Fail over to/,
  disaster: /^Kill the primary/,
  verify: /^Verify both/,
  copy: /^Copy both/,
  "capture-incremental": /^Capture an incremental/,
  "write-on": /^Let the client/,
  "capture-full": /^Capture a full/,
  load: /^Load a workspace/,
  provision: firstStep,
};
/** Each with other processes at work: the practice fails over, writes, captures, has just begun. */
const sample = ["measure", "failover", "capture-full", "provision"];
const steps = Object.fromEntries(Object.entries(allSteps).filter(([name]) => isProof || sample.includes(name)));
const instants = howMany("QDRANT_DR_INSTANTS", { suite: 2, proof: 4 });
const seed = Number(process.env["QDRANT_DR_SEED"] ?? 1_399_751_466);
interface Interruption {
  readonly signal: NodeJS.Signals;
  readonly at: RegExp | "folder";
}
const interruptions: Readonly<Record<string, Interruption>> = {
  "SIGTERM while the estate is made": { signal: "SIGTERM", at: "folder" },
  "SIGINT while pulumi provisions": { signal: "SIGINT", at: /^provision: create standby-qdrant/ },
  "SIGTERM while a point is captured": { signal: "SIGTERM", at: /^capture: / },
  ...(isProof ? { "SIGINT while it fails over": { signal: "SIGINT", at: /^restore: / } } : {}),
};
const cleanWithinSeconds = 15;

interface Killed {
  readonly run: Product;
  /** What of its predecessors was there when its first step began; undefined when it did not come that far. */
  readonly found: readonly string[] | undefined;
}

/** Runs in one folder, one after the other: each begins with what its predecessors left. */
class Chain {
  readonly estates = mkdtempSync(join(tmpdir(), "qdrant-dr-killed-"));
  #left: Footprint[] = [];
  #last: Promise<unknown> = Promise.resolve();

  /** Starts a run when those before it are dead; it is killed, alone, when `moment` has come. */
  killAt(moment: (run: Product) => Promise<unknown>): Promise<Killed> {
    const killed = this.#last.then(async () => {
      const run = Product.startDirect(["quickstart", "--json", "--points", String(points)], this.estates);
      const found = run.says(firstStep).then(
        () => this.remains(),
        () => undefined,
      );
      try {
        await moment(run);
      } finally {
        run.signal("SIGKILL");
        await run.end();
        this.note();
      }
      return { run, found: await found };
    });
    this.#last = killed.catch(() => undefined);
    return killed;
  }

  /** Remembers what is there of each estate. */
  note(): void {
    this.#left.push(...estatesIn(this.estates).map((folder) => footprintOf(this.estates, folder)));
  }

  /** What is left of all estates that were noted. */
  remains(): string[] {
    return this.#left.flatMap(remainsOf);
  }

  /** Ends everything; answers what is left then. */
  async stop(): Promise<string[]> {
    await this.#last;
    const stop = Product.start(["quickstart", "--stop"], this.estates);
    const code = await stop.end();
    const left = [...(code === 0 ? [] : [stop.stderr]), ...this.remains(), ...estatesIn(this.estates)];
    rmSync(this.estates, { recursive: true, force: true });
    return left;
  }
}

describe("quickstart, killed", function () {
  // All chains run at once, from the beginning: a test waits for its part of one.
  this.timeout(600_000);
  const chains = { odd: new Chain(), even: new Chain(), instants: new Chain() };
  const atSteps = new Map<string, Promise<Killed>>();
  const atInstants: Promise<Killed>[] = [];
  const interrupted = new Map<string, Promise<{ code: number | null; seconds: number; remains: string[] }>>();
  let last: Promise<Killed>;

  before(() => {
    console.log(`    seed ${seed}: with another QDRANT_DR_SEED other instants are chosen`);
    const random = numbersFrom(seed);
    Object.entries(steps).forEach(([name, line], index) => {
      const chain = index % 2 === 0 ? chains.odd : chains.even;
      atSteps.set(
        name,
        chain.killAt((run) => run.says(line)),
      );
    });
    last = chains.even.killAt(async (run) => {
      await run.says(/^Fail over to/);
      chains.even.note();
      await run.end();
    });
    for (const [name, { at, signal }] of Object.entries(interruptions)) {
      interrupted.set(name, interrupt(chains.odd, at, signal));
    }
    const pattern = atSteps.get("measure")?.then(({ run }) => run) ?? Promise.reject(new Error("no such step"));
    for (let index = 0; index < instants; index += 1) {
      const share = (index + random()) / instants;
      // Begun when the pattern is known: until then a run would go on past its instant.
      atInstants.push(pattern.then((known) => chains.instants.killAt((run) => comesTo(run, share, known))));
    }
    for (const promise of [...atSteps.values(), ...atInstants, ...interrupted.values(), last]) {
      promise.catch(() => undefined);
    }
  });

  after(async () => {
    for (const chain of Object.values(chains)) await chain.stop();
  });

  for (const name of Object.keys(steps)) {
    it(`when step ${name} is announced: the next run begins with nothing of it left`, async () => {
      const killed = await atSteps.get(name);
      expect(killed?.run.wasKilled).to.equal(true);
      expect(killed?.found, killed?.run.stderr).to.deep.equal([]);
    });
  }

  it("time and again: the run that is let live ends well, and counts the lost writes right", async () => {
    const { found, run } = await last;
    expect(await run.end(), run.stdout + run.stderr).to.equal(0);
    expect(found).to.deep.equal([]);
    const result = run.json as PracticeResult;
    expect(result.verified).to.equal(true);
    const lost = result.collections.flatMap(({ lostIds }) => lostIds);
    expect(lost.every((id) => id >= firstClientNumber)).to.equal(true);
    expect(new Set(lost).size).to.equal(result.lostWrites);
    expect(result.lostWrites).to.be.within(1, result.acknowledgedWrites - 1);
    rmSync(result.report);
    expect(chains.even.remains()).to.deep.equal([]);
    expect(estatesIn(chains.even.estates)).to.deep.equal([]);
  });

  it(`at ${instants} instants that are spread over its length: each next run begins with nothing of it left`, async () => {
    const outcomes = await Promise.all(atInstants);
    const seconds = outcomes.map(({ run }) => run.seconds.toFixed(1));
    console.log(`        killed after ${seconds.join(", ")} s`);
    for (const { found, run } of outcomes) expect(found ?? [], run.stderr).to.deep.equal([]);
    // How long a run takes is an estimate: some may have ended before their instant.
    expect(outcomes.filter(({ run }) => run.wasKilled)).to.have.length.of.at.least(instants / 2);
    expect(outcomes.filter(({ found }) => found !== undefined)).to.have.length.of.at.least(instants / 2);
    expect(await chains.instants.stop()).to.deep.equal([]);
  });

  for (const name of Object.keys(interruptions)) {
    it(`by ${name}: it takes its estate with it, within ${cleanWithinSeconds} s, and ends with 130`, async () => {
      const outcome = await interrupted.get(name);
      expect(outcome?.code).to.equal(130);
      expect(outcome?.remains).to.deep.equal([]);
      expect(outcome?.seconds).to.be.below(cleanWithinSeconds);
    });
  }
});

/** Waits as long as `pattern` took for this share of its way: from line to line, however busy the machine is. */
async function comesTo(run: Product, share: number, pattern: Product): Promise<void> {
  const instant = share * pattern.seconds;
  const lines = pattern.lineSeconds.filter((seconds) => seconds <= instant);
  // A run with fewer lines may have ended by then: how many came to their instant is counted.
  await run.saysLines(lines.length).catch(() => undefined);
  await sleep(1000 * (instant - (lines.at(-1) ?? 0)));
}

async function interrupt(chain: Chain, at: RegExp | "folder", signal: NodeJS.Signals) {
  let seconds = 0;
  let remains: string[] = [];
  const { run } = await chain.killAt(async (started) => {
    if (at === "folder") await folderAppears(chain.estates, started);
    else await started.says(at);
    chain.note();
    const begun = performance.now();
    started.signal(signal);
    await started.end();
    seconds = (performance.now() - begun) / 1000;
    remains = [...chain.remains(), ...estatesIn(chain.estates)];
  });
  return { code: await run.end(), seconds, remains };
}

async function folderAppears(estates: string, run: Product): Promise<void> {
  const watcher = watch(estates);
  try {
    const ended = run.end().then(() => Promise.reject(new Error(`it made no folder:\n${run.stderr}`)));
    // What its predecessor left goes first.
    const appears = (async () => {
      for (;;) {
        const [, name] = await once(watcher, "change");
        if (String(name).startsWith(".new-")) return;
      }
    })();
    await Promise.race([appears, ended]);
  } finally {
    watcher.close();
  }
}

/** Numbers from 0 to 1 that follow from the seed (mulberry32). */
function numbersFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
