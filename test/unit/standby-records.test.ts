import { expect } from "chai";
import { StandbyRecords } from "../../runtime/repository/control/standby-records.ts";
import { codeOf } from "../support/expect-code.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";

const at = new Date(0).toISOString();

describe("turns of a standby", () => {
  /** Whoever asks for a turn learns of another's that was taken after it had looked. */
  async function askedWhileTaken(mine: { failover?: number }, theirs: { failover?: number }) {
    const store = new MemoryStore();
    const [us, them] = [new StandbyRecords(store, "us"), new StandbyRecords(store, "them")];
    let isTaken = false;
    const code = await codeOf(
      us.takeTurn({ at, ...mine }, async () => {
        if (!isTaken) await them.takeTurn({ at, ...theirs });
        isTaken = true;
      }),
    );
    return { code, overtakes: await codeOf(them.refuseUnlessMine()) };
  }

  it("a failover takes the next one when replication was faster", async () => {
    const outcome = await askedWhileTaken({ failover: 2 }, {});
    expect(outcome).to.deep.equal({ code: undefined, overtakes: "EPOCH_CONFLICT" });
  });

  it("replication does not when a failover was faster, nor a failover when another one was", async () => {
    for (const mine of [{}, { failover: 2 }]) {
      const outcome = await askedWhileTaken(mine, { failover: 2 });
      expect(outcome).to.deep.equal({ code: "EPOCH_CONFLICT", overtakes: undefined });
    }
  });
});
