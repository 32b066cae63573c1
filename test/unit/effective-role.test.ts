import { expect } from "chai";
import type { EpochRecord } from "../../runtime/domain/roles/epoch.ts";
import type { ObjectStoreReader } from "../../runtime/ports/object-store.ts";
import { readEffectiveRole } from "../../runtime/repository/control/effective-role.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { codeOf } from "../support/expect-code.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";

const first: EpochRecord = { epoch: 1, active: "prod", reason: "initial", run: "r", at: "2026-01-01T00:00:00.000Z" };
const second: EpochRecord = { ...first, epoch: 2, active: "dr", previous: "prod", reason: "failover" };

async function storeWith(...records: EpochRecord[]): Promise<ObjectStoreReader> {
  const store = new MemoryStore();
  for (const record of records) await claimEpoch(store, record);
  return store;
}

/** Refuses, or never answers. */
function deadStore(end: () => Promise<never>): ObjectStoreReader {
  return {
    get: end,
    checksumOf: end,
    sizeOf: end,
    // biome-ignore lint/correctness/useYield: it never comes to that
    async *folders() {
      await end();
    },
    // biome-ignore lint/correctness/useYield: it never comes to that
    async *list() {
      await end();
    },
  };
}

describe("role of a region", () => {
  it("is by the newest record of its own control store", async () => {
    const { epoch, role } = await readEffectiveRole("prod", await storeWith(first, second));
    expect([role, epoch.epoch]).to.deep.equal(["fenced", 2]);
  });

  it("is by the other region's record when that is newer: this one could not be told", async () => {
    const [prod, dr] = [await storeWith(first), await storeWith(first, second)];
    expect((await readEffectiveRole("prod", prod, dr)).role).to.equal("fenced");
    expect((await readEffectiveRole("dr", dr, prod)).role).to.equal("active");
  });

  it("does not need the other region: refused there, or with nothing there, its own record decides", async () => {
    const refusing = deadStore(() => Promise.reject(new Error("refused")));
    for (const other of [refusing, await storeWith()]) {
      expect((await readEffectiveRole("prod", await storeWith(first), other)).role).to.equal("active");
    }
  });

  it("is unknown when its own store is empty or refuses, whatever the other says, and when two contradict each other", async () => {
    const there = await storeWith(first, second);
    const refusing = deadStore(() => Promise.reject(new Error("refused")));
    for (const own of [await storeWith(), refusing])
      expect(await codeOf(readEffectiveRole("dr", own, there))).to.equal("ROLE_UNKNOWN");
    const rival = await storeWith(first, { ...second, active: "prod" });
    expect(await codeOf(readEffectiveRole("prod", rival, there))).to.equal("ROLE_UNKNOWN");
  });
});
