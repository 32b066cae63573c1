import { expect } from "chai";
import { runRecordSchema } from "../../runtime/domain/monitoring/runs.ts";
import { DrError } from "../../runtime/errors.ts";
import { recordedRun } from "../../runtime/workflows/recorded-run.ts";
import type { RegionSession } from "../../runtime/workflows/region-session.ts";
import { regionNamed } from "../support/estates/fake-region.ts";
import { silently, systemClock } from "../support/estates/recovery-estate.ts";
import { codeOf } from "../support/expect-code.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";

describe("a recorded run", () => {
  let control: MemoryStore;
  let interrupt: (() => Promise<void>) | undefined;

  beforeEach(() => {
    control = new MemoryStore();
    interrupt = undefined;
  });

  function run<T>(work: () => Promise<T>): Promise<T> {
    const session = {
      region: regionNamed("east"),
      stores: { repository: control, control },
      withPatience: () => session,
    };
    return recordedRun(
      {
        run: "full",
        session: session as unknown as RegionSession,
        toolVersion: "test",
        clock: systemClock,
        progress: silently,
        onInterrupt: (clean) => {
          interrupt = clean;
          return () => {
            interrupt = undefined;
          };
        },
      },
      work,
    );
  }
  const ends = () =>
    [...control.objects.values()].map((bytes) => runRecordSchema.parse(JSON.parse(bytes.toString())).exitCode);

  it("leaves one record of its end: that it was interrupted, that it failed, or that it was done", async () => {
    await run(async () => undefined);
    expect(ends()).to.deep.equal([0]);
    expect(interrupt, "withdrawn").to.equal(undefined);
    control.objects.clear();

    expect(await codeOf(run(() => Promise.reject(new DrError("UNREACHABLE", "gone"))))).to.equal("UNREACHABLE");
    expect(ends()).to.deep.equal([5]);
    control.objects.clear();

    const interrupted = run(async () => {
      await interrupt?.();
      throw new DrError("UNREACHABLE", "what it asked was taken away");
    });
    expect(await codeOf(interrupted)).to.equal("UNREACHABLE");
    expect(ends()).to.deep.equal([130]);
  });
});
