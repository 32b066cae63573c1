/** Which run may act is decided by what stands in the store, whatever its listings say. */
import { expect } from "chai";
import type { Clock } from "../../runtime/ports/clock.ts";
import type { ObjectStore, ObjectStoreReader } from "../../runtime/ports/object-store.ts";
import { FailoverRecords, findLivingFailover } from "../../runtime/repository/control/failover-records.ts";
import { StandbyRecords } from "../../runtime/repository/control/standby-records.ts";
import { systemClock } from "../../runtime/time/system-clock.ts";
import { codeOf } from "../support/expect-code.ts";
import { type FaultPlan, Faults } from "../support/faults/faulty-store.ts";
import { looksOf } from "../support/servers/looks-of.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";
import { SimulatedClock } from "../support/time/simulated-clock.ts";

const at = new Date(0).toISOString();
const epoch = 2;

interface Contender {
  take(): Promise<void>;
  refuseUnlessOwner(): Promise<void>;
}

/** What runs contend for. Every other run is known to be dead, so that nobody listens for it. */
const contests: Readonly<Record<string, (store: ObjectStore, run: string) => Contender>> = {
  "a failover": (store, run) => {
    const records = new FailoverRecords(store, epoch, run, systemClock, { mark: run, isDead: () => true });
    return {
      take: async () => (await records.takeOver())(),
      refuseUnlessOwner: () => records.refuseUnlessOwner(),
    };
  },
  "a standby": (store, run) => {
    const records = new StandbyRecords(store, run);
    return { take: () => records.takeTurn({ at }), refuseUnlessOwner: () => records.refuseUnlessMine() };
  },
};

const listings: readonly FaultPlan["listings"][] = [undefined, "short", "empty", "late"];

for (const [what, contender] of Object.entries(contests)) {
  describe(`the owner of ${what}`, () => {
    for (const faults of listings) {
      const store = () => new Faults(faults === undefined ? {} : { listings: faults }).wrap(new MemoryStore());
      const seeing = faults === undefined ? "" : `, seen by ${faults} listings`;

      it(`is the run that took the newest turn, and every earlier one stops${seeing}`, async () => {
        const shared = store();
        const runs = ["a", "b", "c", "d", "e"].map((run) => contender(shared, run));
        for (const run of runs) await run.take();
        const codes = await Promise.all(runs.map((run) => codeOf(run.refuseUnlessOwner())));
        expect(codes).to.deep.equal([...runs.slice(1).map(() => "EPOCH_CONFLICT"), undefined]);
      });

      it(`is one of the runs that take a turn at the same time${seeing}`, async () => {
        const shared = store();
        const runs = ["a", "b", "c"].map((run) => contender(shared, run));
        const codes = await Promise.all(runs.map((run) => codeOf(run.take())));
        expect(codes.filter((code) => code === undefined)).to.have.length(1);
        const owners = await Promise.all(runs.map((run) => codeOf(run.refuseUnlessOwner())));
        expect(owners).to.deep.equal(codes);
      });
    }

    it("is no run that never took a turn", async () => {
      const shared = new MemoryStore();
      expect(await codeOf(contender(shared, "a").refuseUnlessOwner())).to.equal("EPOCH_CONFLICT");
      await contender(shared, "b").take();
      expect(await codeOf(contender(shared, "a").refuseUnlessOwner())).to.equal("EPOCH_CONFLICT");
    });
  });
}

describe("an owner in a store that does not keep what it took", () => {
  for (const answer of ["created", "exists"] as const) {
    it(`is refused, and not tried for again and again, when it says "${answer}"`, async () => {
      const forgetful = { ...reading(new MemoryStore()), create: async () => answer };
      const standby = new StandbyRecords(forgetful, "a");
      expect(await codeOf(standby.takeTurn({ at, failover: epoch }))).to.equal("STORE_REFUSED");
    });
  }
});

function reading(store: MemoryStore): ObjectStoreReader {
  return { get: store.get.bind(store), list: store.list.bind(store), ...looksOf(store) };
}

describe("signs of life of a failover", () => {
  let store: MemoryStore;
  let clock: SimulatedClock;
  const looking = (seen: ObjectStore, looks: Clock, except?: string) =>
    clock.run(findLivingFailover(seen, epoch, looks, except));

  beforeEach(() => {
    store = new MemoryStore();
    clock = new SimulatedClock();
  });

  /** A store in which the owner gives another sign of life with every request. */
  function beating(run: string): ObjectStore {
    let last: number | undefined;
    return {
      ...reading(store),
      create: store.create.bind(store),
      get: async (key, range) => {
        const beat = new RegExp(`/alive\\.${run}\\.(\\d+)\\.json$`).exec(key)?.[1];
        if (beat !== undefined && clock.monotonic() > 0 && last === undefined) last = Number(beat);
        if (beat !== undefined && Number(beat) === last) return Buffer.from(JSON.stringify({ run, at }));
        return store.get(key, range);
      },
    };
  }

  async function owned(run: string): Promise<void> {
    (await new FailoverRecords(store, epoch, run, clock).takeOver())();
  }

  it("of a run that gives none are waited for, and then it is dead", async () => {
    await owned("silent");
    expect(await looking(store, clock)).to.equal(undefined);
    expect(clock.monotonic()).to.equal(5_000);
  });

  for (const faults of listings.slice(1)) {
    it(`of the owner are seen when listings are ${faults}`, async () => {
      await owned("living");
      const seen = new Faults({ listings: faults ?? "empty" }).wrap(beating("living"));
      expect(await looking(seen, clock)).to.equal("living");
      expect(clock.monotonic()).to.be.lessThan(1_000);
    });
  }

  it("are not waited for when nobody owns it, when the owner never gave one, and of the run that asks", async () => {
    expect(await looking(store, clock)).to.equal(undefined);
    await owned("silent");
    expect(await looking(store, clock, "silent")).to.equal(undefined);
    for (const key of [...store.objects.keys()]) if (key.includes("/alive.")) store.objects.delete(key);
    expect(await looking(store, clock)).to.equal(undefined);
    expect(clock.monotonic()).to.equal(0);
  });

  it("refuse another run, and let it go on once they end", async () => {
    await owned("first");
    const second = new FailoverRecords(beating("first"), epoch, "second", clock);
    expect(await codeOf(clock.run(second.takeOver()))).to.equal("EPOCH_CONFLICT");
    const third = new FailoverRecords(store, epoch, "third", clock);
    (await clock.run(third.takeOver()))();
    await third.refuseUnlessOwner();
  });

  describe("in a store that leaves a request without an answer", () => {
    /** Which heartbeats hang, counted by the requests for them; the others are stored, and told of. */
    function hanging(hangs: (request: number) => boolean) {
      const stored: number[] = [];
      const waiting: (() => void)[] = [];
      let requests = 0;
      let isStored = () => {};
      const create = async (key: string, bytes: Uint8Array) => {
        const beat = /\/alive\.living\.(\d+)\.json$/.exec(key)?.[1];
        if (beat === undefined) return store.create(key, bytes);
        requests += 1;
        if (hangs(requests)) await new Promise<void>((resolve) => waiting.push(resolve));
        const answer = await store.create(key, bytes);
        if (answer === "created") stored.push(Number(beat));
        isStored();
        return answer;
      };
      return {
        control: { ...reading(store), create },
        stored,
        answer: () => {
          for (const resolve of waiting.splice(0)) resolve();
        },
        until: async (count: number) => {
          while (stored.length < count) {
            await new Promise<void>((resolve) => {
              isStored = resolve;
            });
          }
        },
      };
    }

    it("are given again when the first one hangs, and the run becomes the owner", async () => {
      const { answer, control, stored } = hanging((request) => request === 1);
      const records = new FailoverRecords(control, epoch, "living", systemClock);
      const stop = await records.takeOver();
      stop();
      await records.refuseUnlessOwner();
      expect(stored).to.deep.equal([1]);
      answer();
    });

    it("go on while one hangs, and leave no gap when its late answer comes", async () => {
      const { answer, control, stored, until } = hanging((request) => request === 2);
      const stop = await new FailoverRecords(control, epoch, "living", systemClock).takeOver();
      await until(3);
      answer();
      await until(4);
      stop();
      expect(stored).to.deep.equal(stored.map((_, index) => index + 1));
    });
  });
});
