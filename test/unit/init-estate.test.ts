import { expect } from "chai";
import { parseFoundation } from "../../runtime/domain/settings/foundation.ts";
import { claimEpoch, readEpochs } from "../../runtime/repository/control/epochs.ts";
import { initEstate } from "../../runtime/workflows/init/init-estate.ts";
import { codeOf } from "../support/expect-code.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";

const now = new Date("2026-01-01T00:00:00.000Z");

describe("first epoch of an estate", () => {
  let prod: MemoryStore;
  let dr: MemoryStore;
  beforeEach(() => {
    prod = new MemoryStore();
    dr = new MemoryStore();
  });

  const init = (run: string, initialActive = "prod") =>
    initEstate({
      initialActive,
      controls: new Map([
        ["prod", prod],
        ["dr", dr],
      ]),
      run,
      now,
    });

  it("stands in both stores, the same; again, nothing changes, whoever asks", async () => {
    const { first, newest } = await init("one");
    expect(first).to.deep.equal({ epoch: 1, active: "prod", reason: "initial", run: "one", at: now.toISOString() });
    expect(newest).to.deep.equal(first);
    for (const control of [prod, dr]) expect(await readEpochs(control)).to.deep.equal([first]);
    expect(await init("two")).to.deep.equal({ first, newest });
  });

  it("a run that was killed between the stores is gone on with, whichever of the stores it had reached", async () => {
    for (const reached of [prod, dr]) {
      prod.objects.clear();
      dr.objects.clear();
      await claimEpoch(reached, { epoch: 1, active: "prod", reason: "initial", run: "killed", at: now.toISOString() });
      const { first } = await init("next");
      expect(first.run).to.equal("killed");
      for (const control of [prod, dr]) expect(await readEpochs(control)).to.deep.equal([first]);
    }
  });

  it("of two at once that name different regions one wins whole, and the other says so", async () => {
    const outcomes = await Promise.allSettled([init("one", "prod"), init("two", "dr")]);
    expect(outcomes.map(({ status }) => status).sort()).to.deep.equal(["fulfilled", "rejected"]);
    const [ofProd] = await readEpochs(prod);
    expect(await readEpochs(dr)).to.deep.equal([ofProd]);
  });

  it("an estate that has failed over since keeps what it has, and says who is active", async () => {
    await init("one");
    const later = {
      epoch: 2,
      active: "dr",
      previous: "prod",
      reason: "failover",
      run: "f",
      at: now.toISOString(),
    } as const;
    await claimEpoch(dr, later);
    expect((await init("two")).newest).to.deep.equal(later);
    expect(await readEpochs(prod)).to.have.length(1);
  });

  it("another region as the first one is refused before anything is written", async () => {
    await claimEpoch(prod, { epoch: 1, active: "prod", reason: "initial", run: "one", at: now.toISOString() });
    expect(await codeOf(init("two", "dr"))).to.equal("EPOCH_CONFLICT");
    expect(dr.objects.size).to.equal(0);
  });

  it("a foundation that is none is refused with what is wrong", () => {
    expect(() => parseFoundation("{}")).to.throw("these are not the outputs of a foundation: initialActive");
    expect(() => parseFoundation("error: no stack")).to.throw("these are not the outputs");
  });
});
