import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { QdrantClientResourceExhaustedError } from "@qdrant/js-client-rest";
import { expect } from "chai";
import { Peers } from "../../runtime/adapters/qdrant/qdrant-peers.ts";
import { insist, isNotFound, isOfHalfMadeShard, isOverdue, refused } from "../../runtime/adapters/qdrant/refusals.ts";
import { systemClock } from "../../runtime/time/system-clock.ts";
import { codeOf } from "../support/expect-code.ts";
import { SimulatedClock } from "../support/time/simulated-clock.ts";

describe("a question to Qdrant whose rate limit is reached", () => {
  const address = { peers: ["http://qdrant.example:6333"], apiKey: "of-a-test" };
  const limited = (asked: number[], clock: SimulatedClock) => async () => {
    asked.push(clock.monotonic() / 1_000);
    throw new QdrantClientResourceExhaustedError("too many", "6");
  };

  it("is asked again for longer than the minute that Qdrant may ask for, and then refused", async () => {
    const clock = new SimulatedClock();
    const asked: number[] = [];
    const outcome = clock.run(new Peers(address, clock).call(limited(asked, clock)));
    expect(await codeOf(outcome)).to.equal("TOO_MANY_REQUESTS");
    expect(asked).to.deep.equal([0, 1, 3, 7, 15, 31, 63]);
  });

  it("is not asked again where patience is short", async () => {
    const clock = new SimulatedClock();
    const asked: number[] = [];
    const outcome = new Peers({ ...address, patienceMs: 2_000 }, clock).call(limited(asked, clock));
    expect(await codeOf(outcome)).to.equal("TOO_MANY_REQUESTS");
    expect(asked).to.deep.equal([0]);
  });
});

describe("a stream from Qdrant", () => {
  /** Long enough for a busy machine to send the first bytes. */
  const idleMs = 1_000;
  /** Sends so many bytes, and says no more. */
  const serving = async (bytes: number, ends: boolean) => {
    const server = createServer((_, answer) => {
      answer.write(Buffer.alloc(bytes));
      if (ends) answer.end();
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const stream = () => new Peers({ peers: [url], apiKey: "" }, systemClock).stream(url, "/", { idleMs });
    return { server, stream };
  };

  it("is not silent while its bytes wait to be read, for however long", async () => {
    const size = 20_000_000;
    const { server, stream } = await serving(size, true);
    try {
      let read = 0;
      for await (const bytes of await stream()) {
        // What is read is stored more slowly than the idle limit allows.
        if (read === 0) await systemClock.sleep(2 * idleMs);
        read += (bytes as Buffer).length;
      }
      expect(read).to.equal(size);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it("is given up when everything was read and nothing more comes", async () => {
    const { server, stream } = await serving(1_000, false);
    try {
      let read = 0;
      const reading = async () => {
        for await (const bytes of await stream()) read += (bytes as Buffer).length;
      };
      let ended: unknown;
      await reading().catch((error: unknown) => {
        ended = error;
      });
      expect(String(ended)).to.match(/no bytes for 1 s|aborted/);
      expect(read).to.equal(1_000);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

describe("what Qdrant refuses", () => {
  it("is told apart by its cause, wherever in a long answer the reason stands", () => {
    const long = "x".repeat(400);
    const refusals = [
      `${long} Timeout error: Operation 'search' timed out after 5 seconds`,
      `${long} Dirty shard 0`,
      `${long} Failed to restore local replica`,
      "Not found: Collection `c` doesn't exist!",
    ].map((text) => refused({ status: 500, text, what: "a question" }));
    expect(refusals.map(isOverdue)).to.deep.equal([true, false, false, false]);
    expect(refusals.map(isOfHalfMadeShard)).to.deep.equal([false, true, true, false]);
  });

  it("is of a half-made shard also when that is said together with a timeout", () => {
    const both = refused({ status: 500, text: "Timeout error: shard 0 is not ready: Dirty shard", what: "a question" });
    expect([isOfHalfMadeShard(both), isOverdue(both)]).to.deep.equal([true, false]);
  });

  it("is called not found by its status alone", () => {
    const text = '{"status":{"error":"Not found: Collection `c` doesn\'t exist!"},"time":0}';
    const statuses = [404, 400, 429, 500, 503, 504];
    expect(statuses.map((status) => isNotFound(refused({ status, text, what: "a question" })))).to.deep.equal([
      true,
      ...statuses.slice(1).map(() => false),
    ]);
    // Nothing is gone because something else stands there.
    for (const other of ["404 page not found", '{"message":"no Route matched"}', "<h1>404</h1>", ""]) {
      const error = refused({ status: 404, text: other, what: "a question" });
      expect(isNotFound(error), other).to.equal(false);
      expect(error.code, other).to.equal(other === "" ? "QDRANT_REFUSED" : "PROXY_REFUSED");
    }
  });

  it("is insisted on with more time each time while its answer is overdue, and not for any other reason", async () => {
    const clock = new SimulatedClock();
    const given: number[] = [];
    const ask = async (answerWithinMs: number) => {
      given.push(answerWithinMs);
      const text = given.length < 4 ? "Timeout error: too slow" : "broken";
      throw refused({ status: 500, text, what: "a question" });
    };
    expect(await codeOf(clock.run(insist(clock, [1, 2, 4], ask)))).to.equal("QDRANT_REFUSED");
    expect(await codeOf(clock.run(insist(clock, [8, 16], ask)))).to.equal("QDRANT_REFUSED");
    expect(given).to.deep.equal([1, 2, 4, 8]);
  });
});

describe("a question to Qdrant on a kept connection", () => {
  it("is sent once more when the server closes the connection at that moment", async () => {
    const used = new WeakSet<object>();
    const server = createServer((request, answer) => {
      // As a server whose time for an idle connection is over just now.
      if (used.has(request.socket)) return void request.socket.destroy();
      used.add(request.socket);
      answer.setHeader("content-type", "application/json");
      answer.end(JSON.stringify({ result: {} }));
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const peers = new Peers({ peers: [url], apiKey: "of-a-test" }, systemClock);
    try {
      for (let asked = 0; asked < 3; asked += 1) expect(await peers.getJson(url, "/a")).to.deep.equal({ result: {} });
    } finally {
      server.closeAllConnections();
      await once(server.close(), "close");
    }
  });
});
