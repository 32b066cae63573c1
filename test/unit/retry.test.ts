import { expect } from "chai";
import fc from "fast-check";
import { retry } from "../../runtime/time/retry.ts";
import { SimulatedClock } from "../support/time/simulated-clock.ts";

const busy = new Error("busy");
const isRetryable = (error: unknown) => error === busy;

describe("a retry", () => {
  it("makes never more attempts than allowed, begins none after the budget, and grows its delays to the longest", async () => {
    const policies = fc.record({
      attempts: fc.integer({ min: 1, max: 8 }),
      budgetMs: fc.nat(30_000),
      firstDelayMs: fc.nat(1_000),
      factor: fc.integer({ min: 1, max: 3 }),
      longestDelayMs: fc.nat(5_000),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    await fc.assert(
      fc.asyncProperty(policies, fc.nat(9), fc.nat(2_000), chance, async (policy, failures, tookMs, random) => {
        const clock = new SimulatedClock();
        const begun: number[] = [];
        const act = async (attempt: number) => {
          begun.push(clock.monotonic());
          expect(attempt).to.equal(begun.length);
          await clock.sleep(tookMs);
          if (attempt <= failures) throw busy;
          return attempt;
        };
        const outcome = await clock
          .run(retry(clock, { ...policy, isRetryable }, act, () => random))
          .catch((error: unknown) => error);

        expect(begun.length).to.be.at.most(Math.min(policy.attempts, failures + 1));
        expect(begun.at(-1)).to.be.at.most(Math.max(0, policy.budgetMs) + 1);
        expect(outcome).to.equal(begun.length > failures ? begun.length : busy);
        for (const [index, at] of begun.slice(1).entries()) {
          const full = Math.min(policy.longestDelayMs, policy.firstDelayMs * policy.factor ** index);
          const delay = at - (begun[index] ?? 0) - tookMs;
          // The simulated clock rounds up to whole milliseconds.
          expect(delay - full * (1 - policy.jitter * random)).to.be.within(-0.001, 1);
        }
        // It gives up for no other reason.
        if (outcome === busy && begun.length < policy.attempts) {
          const next = Math.min(policy.longestDelayMs, policy.firstDelayMs * policy.factor ** (begun.length - 1));
          expect(clock.monotonic() + next * (1 - policy.jitter * random)).to.be.greaterThan(policy.budgetMs);
        }
      }),
    );
  });

  it("does not repeat what cannot be retried", async () => {
    const clock = new SimulatedClock();
    const refused = new Error("refused");
    let attempts = 0;
    const outcome = retry(clock, { attempts: 5, firstDelayMs: 10, isRetryable }, async () => {
      attempts += 1;
      throw refused;
    });
    expect(await outcome.catch((error: unknown) => error)).to.equal(refused);
    expect(attempts).to.equal(1);
  });

  it("waits as long as the server asks", async () => {
    const clock = new SimulatedClock();
    const policy = { attempts: 3, firstDelayMs: 10, isRetryable, askedDelayMs: () => 700 };
    const outcome = retry(clock, policy, async (attempt) => {
      if (attempt < 3) throw busy;
      return clock.monotonic();
    });
    expect(await clock.run(outcome)).to.equal(1_400);
  });

  it("ends at once when it is cancelled, and begins nothing when it was cancelled before", async () => {
    const clock = new SimulatedClock();
    const stop = new AbortController();
    let attempts = 0;
    const retried = () =>
      retry(clock, { attempts: 5, firstDelayMs: 60_000, isRetryable, signal: stop.signal }, async () => {
        attempts += 1;
        throw busy;
      }).catch((error: unknown) => error);
    const waiting = retried();
    await clock.advance(0);
    stop.abort("interrupted");
    expect(await waiting).to.equal("interrupted");
    expect(await retried()).to.equal("interrupted");
    expect([attempts, clock.sleepers]).to.deep.equal([1, 0]);
  });
});
