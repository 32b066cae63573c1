import { expect } from "chai";
import { failureOf } from "../../runtime/domain/monitoring/runs.ts";
import { oneLine } from "../../runtime/domain/one-line.ts";
import { controlLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import { recordRun, successfulRunSince } from "../../runtime/repository/control/run-records.ts";
import { readRuns } from "../../runtime/workflows/read-runs.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";
import { SimulatedClock } from "../support/time/simulated-clock.ts";

describe("text of elsewhere, as one line", () => {
  const cases: [text: string, longest: number, line: string][] = [
    ["as it is", 20, "as it is"],
    ["two\nlines\r\n\tand more ", 40, "two lines and more"],
    ["\u001b[31mred\u001b[0m \u009b2J", 40, "[31mred [0m  2J"],
    ["turned \u202egnp.exe", 40, "turned  gnp.exe"],
    ["much too long", 6, "much …"],
    ["four 😀😀", 7, "four …"],
  ];
  for (const [text, longest, line] of cases) {
    it(JSON.stringify(text), () => expect(oneLine(text, longest)).to.equal(line));
  }
});

describe("runs that were recorded", () => {
  const now = new Date("2026-03-10T12:00:00.000Z");
  const clock = new SimulatedClock({ start: now });
  const store = new MemoryStore();
  const at = (day: number, hour: number) =>
    `2026-03-${String(day).padStart(2, "0")}T${String(hour).padStart(2, "0")}:00:00.000Z`;
  const unreadable: string[] = [];
  const read = async (wanted: Partial<Parameters<typeof readRuns>[1]> = {}) => {
    unreadable.length = 0;
    const runs = await readRuns(store, { last: 2, isFailed: false, ...wanted }, clock, (key) => unreadable.push(key));
    return runs.map(({ finishedAt, run }) => `${run} ${finishedAt.slice(8, 13)}`);
  };

  before(async () => {
    for (const [day, hour] of [
      [1, 2],
      [8, 2],
      [9, 2],
      [10, 2],
    ] as const) {
      const exitCode = day === 9 ? 5 : 0;
      const error = { code: "UNREACHABLE", message: `Qdrant\u0007 says ${"no ".repeat(400)}`, hint: "wait" };
      const run = {
        run: "full",
        region: "main",
        startedAt: at(day, hour),
        finishedAt: at(day, hour + 1),
        toolVersion: "1",
      } as const;
      await recordRun(store, { ...run, exitCode, ...(exitCode === 0 ? {} : failureOf(error)) });
    }
    // As they were before they said why.
    const old = {
      run: "verify",
      region: "main",
      startedAt: at(2, 4),
      finishedAt: at(2, 5),
      exitCode: 12,
      error: "OBJECT_CORRUPT",
      toolVersion: "0",
    };
    await store.create(
      controlLayout.run(new Date(at(2, 5)), "20260302T050000000Z-00000000", "verify"),
      Buffer.from(JSON.stringify(old)),
    );
    await store.create(controlLayout.run(now, "20260310T110000000Z-00000000", "prune"), Buffer.from("{}"));
    await store.create(controlLayout.run(now, "20260310T110000000Z-00000001", "of-a-newer-version"), Buffer.from("{}"));
  });

  it("the last of each kind, from the newest on; what cannot be read is named", async () => {
    expect(await read()).to.deep.equal(["full 10T03", "full 09T03", "verify 02T05"]);
    expect(unreadable).to.deep.equal(["runs/2026-03-10/20260310T110000000Z-00000000.prune.json"]);
  });
  it("of one kind", async () => expect(await read({ kind: "verify" })).to.deep.equal(["verify 02T05"]));
  it("those that failed, however many went well since", async () => {
    expect(await read({ isFailed: true })).to.deep.equal(["full 09T03", "verify 02T05"]);
  });
  it("say why, in a line that is bounded", async () => {
    const [failed] = await readRuns(store, { last: 1, isFailed: true, kind: "full" }, clock, () => undefined);
    expect(failed?.message)
      .to.have.length(500)
      .and.match(/^Qdrant {2}says no/);
    expect(failed?.hint).to.equal("wait");
  });

  it("the newest that ended well and began since a time; a future one does not count", async () => {
    const since = (day: number, until = now) => successfulRunSince(store, "full", new Date(at(day, 2)), until);
    expect(await since(8)).to.deep.equal(new Date(at(10, 2)));
    expect(await since(8, new Date(at(9, 12)))).to.deep.equal(new Date(at(8, 2)));
    expect(await since(11)).to.equal(undefined);
  });
});
