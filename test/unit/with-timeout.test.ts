import { once } from "node:events";
import { expect } from "chai";
import { withTimeout } from "../../runtime/async/with-timeout.ts";
import { DrError, hasCode } from "../../runtime/errors.ts";

describe("with a timeout", () => {
  it("an answer, and an error, come as they are", async () => {
    expect(await withTimeout(60_000, "the store", async () => 7)).to.equal(7);
    const failure = new Error("refused");
    const outcome = withTimeout(60_000, "the store", () => Promise.reject(failure));
    expect(await outcome.catch((error: unknown) => error)).to.equal(failure);
  });

  it("what does not answer in time is told to end, with the same error", async () => {
    let reason: unknown;
    const error = await withTimeout(1, "the store", async (signal) => {
      await once(signal, "abort");
      reason = signal.reason;
    }).catch((thrown: unknown) => thrown);
    await new Promise(setImmediate);
    expect(reason).to.equal(error).and.to.be.instanceOf(DrError);
  });

  it("what does not answer is UNREACHABLE, and named", async () => {
    const silent = withTimeout(1, "the store", () => new Promise<never>(() => undefined));
    const error = await silent.catch((thrown: unknown) => thrown);
    expect(hasCode(error, "UNREACHABLE")).to.equal(true);
    expect(String(error)).to.contain("the store does not answer within 0.001 s");
  });
});
