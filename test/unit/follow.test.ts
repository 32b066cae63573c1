/** Two halves that go on side by side: which state is applied when, what failing and ending does. */
import { expect } from "chai";
import { DrError } from "../../runtime/errors.ts";
import { systemClock } from "../../runtime/time/system-clock.ts";
import { type FollowRequest, follow } from "../../runtime/workflows/replicate/follow.ts";

const pace = { clock: systemClock, everyMs: 0, restsFor: 0 };
const untilAborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));

/** Captures 1, 2, 3 … up to `last`, then waits. */
function captures(last: number): FollowRequest<number, number>["capture"] {
  let captured = 0;
  return (signal) => {
    captured += 1;
    return captured > last ? untilAborted(signal) : Promise.resolve(captured);
  };
}

describe("following", () => {
  it("applies each state once, one at a time, never an older one after a newer one, and skips what was overtaken", async () => {
    const stopping = new AbortController();
    const applied: number[] = [];
    let atOnce = 0;
    const last = await follow<number, number>({
      ...pace,
      capture: captures(20),
      signal: stopping.signal,
      async apply(state) {
        atOnce += 1;
        expect(atOnce).to.equal(1);
        await new Promise((done) => setTimeout(done, 2));
        atOnce -= 1;
        applied.push(state);
        return state;
      },
      onReport: (news) => "report" in news && news.report === 20 && stopping.abort(),
    });
    expect(last).to.equal(20);
    expect(applied).to.deep.equal([...new Set(applied)].sort((a, b) => a - b));
  });

  it("captures while it applies", async () => {
    const stopping = new AbortController();
    let goOn: () => void = () => undefined;
    const captured = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    let begun = 0;
    await follow<number, number>({
      ...pace,
      signal: stopping.signal,
      capture: async (signal) => {
        begun += 1;
        if (begun === 2) goOn();
        return begun > 2 ? untilAborted(signal) : begun;
      },
      async apply(state) {
        await captured;
        return state;
      },
      onReport: (news) => "report" in news && news.report === 2 && stopping.abort(),
    });
    expect(begun).to.be.greaterThan(1);
  });

  it("ends what is under way when it is stopped, and begins nothing more", async () => {
    const stopping = new AbortController();
    const reports: number[] = [];
    const last = await follow<number, number>({
      ...pace,
      capture: captures(1),
      signal: stopping.signal,
      async apply(state) {
        stopping.abort();
        return state;
      },
      onReport: (news) => "report" in news && reports.push(news.report),
    });
    expect({ last, reports }).to.deep.equal({ last: 1, reports: [1] });
  });

  for (const half of ["capture", "apply"] as const) {
    it(`tells what fails in ${half} and tries again; what no waiting changes ends both halves`, async () => {
      const problems: string[] = [];
      let tries = 0;
      const failing = async () => {
        tries += 1;
        if (tries === 1) throw new DrError("UNREACHABLE", "gone");
        throw new DrError("TARGET_NOT_EMPTY", "somebody else's");
      };
      const halves =
        half === "capture"
          ? { capture: failing, apply: async () => undefined }
          : { capture: captures(1), apply: failing };
      const ended = follow<unknown, unknown>({
        ...pace,
        ...halves,
        signal: new AbortController().signal,
        onReport: (news) => "problem" in news && problems.push(news.problem),
      });
      const error = await ended.catch((thrown: unknown) => thrown);
      expect((error as DrError).code).to.equal("TARGET_NOT_EMPTY");
      expect(problems).to.deep.equal(["UNREACHABLE: gone; it is tried again"]);
    });
  }

  it("waits where another has the turn, says so once, and goes on when that is over", async () => {
    const stopping = new AbortController();
    const problems: string[] = [];
    let tries = 0;
    const last = await follow<number, number>({
      ...pace,
      signal: stopping.signal,
      async capture(signal) {
        tries += 1;
        if (tries < 3) throw new DrError("ROLE_REFUSES", "east is fenced");
        return tries === 3 ? tries : untilAborted(signal);
      },
      async apply(state) {
        stopping.abort();
        return state;
      },
      onReport: (news) => "problem" in news && problems.push(news.problem),
    });
    expect(last).to.equal(3);
    expect(problems).to.deep.equal(["ROLE_REFUSES: east is fenced; it waits until that is over"]);
  });
});
