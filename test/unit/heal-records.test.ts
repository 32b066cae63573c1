import { expect } from "chai";
import { storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import { readHealed, recordHealed } from "../../runtime/repository/control/heal-records.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";

describe("what stands in for damaged objects", () => {
  it("is the one with the highest number, whatever the clocks of those who healed said", async () => {
    const control = new MemoryStore();
    const key = storeLayout.pack("a".repeat(64));
    const places = [storeLayout.healedObject(key, 2), storeLayout.healedObject(key, 1), key];
    for (const [hour, place] of places.entries()) {
      const at = new Date(Date.UTC(2026, 0, 1, hour));
      await recordHealed(control, { at, region: "east", objects: [{ key, place, size: hour }] });
    }
    expect([...(await readHealed(control))].map(([of, { place, size }]) => [of, place, size])).to.deep.equal([
      [key, places[0], 0],
    ]);
  });
});
