import { expect } from "chai";
import { RetryingStore } from "../../runtime/adapters/stores/retrying-store.ts";
import { WorthRepeating } from "../../runtime/adapters/stores/worth-repeating.ts";
import { DrError } from "../../runtime/errors.ts";
import { codeOf } from "../support/expect-code.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";
import { SimulatedClock } from "../support/time/simulated-clock.ts";

const brokenOff = new DrError("STORE_REFUSED", "it broke off", { cause: new WorthRepeating("half a body") });
const refused = new DrError("STORE_REFUSED", "the server is ill");

/** Fails so many times, before or after it has done what was asked. */
class FailingStore extends MemoryStore {
  readonly asked: string[] = [];
  error = brokenOff;
  failures: number;
  failsAfter = false;

  constructor(failures: number) {
    super();
    this.failures = failures;
  }

  override get(key: string): Promise<Buffer> {
    return this.#failing(`get ${key}`, () => super.get(key));
  }

  override create(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    return this.#failing(`create ${key}`, () => super.create(key, bytes));
  }

  async #failing<T>(request: string, act: () => Promise<T>): Promise<T> {
    this.asked.push(request);
    const fails = this.failures > 0;
    if (fails) this.failures -= 1;
    if (fails && !this.failsAfter) throw this.error;
    const answer = await act();
    if (fails) throw this.error;
    return answer;
  }
}

describe("repetitions of a store's requests", () => {
  const bytes = Buffer.from("content");

  it("bring what the third attempt brings, and no fourth is made", async () => {
    for (const failures of [0, 1, 2, 3]) {
      const [clock, store] = [new SimulatedClock(), new FailingStore(failures)];
      store.objects.set("a", bytes);
      const outcome = clock.run(new RetryingStore(store, clock).get("a"));
      if (failures < 3) expect(await outcome).to.deep.equal(bytes);
      else expect(await codeOf(outcome)).to.equal("STORE_REFUSED");
      expect(store.asked).to.have.lengthOf(Math.min(3, failures + 1));
    }
  });

  it("are as many as they are limited to", async () => {
    const [clock, store] = [new SimulatedClock(), new FailingStore(1)];
    store.objects.set("a", bytes);
    expect(await codeOf(clock.run(new RetryingStore(store, clock, 1).get("a")))).to.equal("STORE_REFUSED");
    expect(store.asked).to.have.lengthOf(1);
  });

  it("are not made of what the store does not call worth it: the client library has repeated that", async () => {
    const [clock, store] = [new SimulatedClock(), new FailingStore(1)];
    store.error = refused;
    expect(await codeOf(clock.run(new RetryingStore(store, clock).create("a", bytes)))).to.equal("STORE_REFUSED");
    expect(store.asked).to.have.lengthOf(1);
  });

  it("do not claim to have created what they find there, be it their own or another's", async () => {
    const [clock, own] = [new SimulatedClock(), new FailingStore(1)];
    own.failsAfter = true;
    expect(await clock.run(new RetryingStore(own, clock).create("a", bytes))).to.equal("exists");
    expect(own.objects.get("a")).to.deep.equal(bytes);

    const others = new FailingStore(1);
    others.objects.set("a", Buffer.from("another's"));
    expect(await clock.run(new RetryingStore(others, clock).create("a", bytes))).to.equal("exists");
    expect(String(others.objects.get("a"))).to.equal("another's");
  });
});
