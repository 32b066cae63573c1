/** A failover applies the journal to its end, and takes no gap for one. */
import { expect } from "chai";
import { DrError } from "../../runtime/errors.ts";
import type { ObjectStore } from "../../runtime/ports/object-store.ts";
import { systemClock } from "../../runtime/time/system-clock.ts";
import type { JournalTarget } from "../../runtime/workflows/journal/journal-applier.ts";
import { JournalFollower } from "../../runtime/workflows/journal/journal-follower.ts";
import { codeOf } from "../support/expect-code.ts";

it("a drain ends in an error, and records nothing, where an object of the journal is missing", async () => {
  const at = new Date().toISOString();
  const position = { number: 3, digest: "" };
  const recorded: string[] = [];
  const follower = new JournalFollower(
    {
      reader: {
        next: async () => undefined,
        async refuseGap(from) {
          expect(from).to.deep.equal(position);
          throw new DrError("OBJECT_NOT_FOUND", "4 is missing, and the journal goes on to 9");
        },
      },
      target: { collections: async () => [] } as Partial<JournalTarget> as JournalTarget,
      control: { create: async (key: string) => recorded.push(key) } as unknown as ObjectStore,
      refuseUnlessMine: async () => undefined,
      clock: systemClock,
    },
    {
      ...{ format: 1, at, region: "east", epoch: 1, recoveryPoint: "r", position, asOf: at },
      ...{ unreconciled: [], strictModes: [], collections: [] },
    },
  );
  expect(await codeOf(follower.drain())).to.equal("OBJECT_NOT_FOUND");
  expect(recorded).to.deep.equal([]);
});
