import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { FileStore } from "../../runtime/adapters/stores/file-store.ts";
import type { ObjectStore } from "../../runtime/ports/object-store.ts";
import { recordRun } from "../../runtime/repository/control/run-records.ts";
import { WatchedRuns } from "../../runtime/workflows/monitoring/watched-runs.ts";
import { systemClock } from "../support/estates/recovery-estate.ts";
import { UntimedStore } from "../support/servers/memory-store.ts";

const inHours = (hours: number) => new Date(Date.now() + 3_600_000 * hours).toISOString();

describe("runs that are watched", () => {
  async function successOf(control: ObjectStore): Promise<number | undefined> {
    const run = { run: "full", region: "east", exitCode: 0, toolVersion: "test" } as const;
    await recordRun(control, { ...run, startedAt: inHours(-3), finishedAt: inHours(-2) });
    await recordRun(control, { ...run, startedAt: inHours(11), finishedAt: inHours(12) });
    const { full } = await new WatchedRuns(control, systemClock, () => expect.fail("all can be read")).read();
    return full?.succeededAt === undefined ? undefined : (Date.parse(full.succeededAt) - Date.now()) / 3_600_000;
  }

  it("ended when their clock says, when their record was stored, or, ahead of every clock, not yet", async () => {
    expect(await successOf(new UntimedStore())).to.be.closeTo(-2, 0.1);
    const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-runs-"));
    try {
      expect(await successOf(new FileStore(folder))).to.be.closeTo(0, 0.1);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
