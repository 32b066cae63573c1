import { expect } from "chai";
import type { EpochRecord } from "../../runtime/domain/roles/epoch.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { ActiveSource } from "../../runtime/workflows/replicate/active-source.ts";
import { codeOf } from "../support/expect-code.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";

const epochOf = (epoch: number, active: string): EpochRecord => {
  return { epoch, active, reason: epoch === 1 ? "initial" : "failover", run: "r", at: "2026-01-01T00:00:00.000Z" };
};

describe("the region that is replicated", () => {
  it("is no longer refused when it is active by an epoch behind one that the store was never told of", async () => {
    const control = new MemoryStore();
    await claimEpoch(control, epochOf(1, "west"));
    const source = new ActiveSource({ region: "east", controls: [control] });
    expect(await codeOf(source.refuseUnlessActive())).to.equal("ROLE_REFUSES");

    await claimEpoch(control, epochOf(3, "east"));
    expect(await codeOf(source.refuseUnlessActive())).to.equal(undefined);
    await claimEpoch(control, epochOf(4, "west"));
    expect(await codeOf(source.refuseUnlessActive())).to.equal("ROLE_REFUSES");
  });
});
