import { once } from "node:events";
import { createServer, get, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { expect } from "chai";
import { gathered } from "../../runtime/adapters/qdrant/gathered.ts";

describe("a gathered answer", () => {
  let server: Server;
  let serve: (answer: ServerResponse) => void = () => undefined;

  before(async () => {
    server = createServer((_request, answer) => serve(answer)).listen(0, "127.0.0.1");
    await once(server, "listening");
  });

  after(() => {
    server.closeAllConnections();
    server.close();
  });

  async function asked(): Promise<IncomingMessage> {
    const request = get({ host: "127.0.0.1", port: (server.address() as AddressInfo).port, agent: false });
    const [answer] = (await once(request, "response")) as [IncomingMessage];
    return answer;
  }

  const translate = (cause: Error) => new Error("broken off", { cause });

  async function failureOf(act: Promise<unknown>): Promise<string> {
    return act.then(
      () => "none",
      (error: Error) => error.message,
    );
  }

  it("is what was sent, in fewer pieces than it was sent in", async () => {
    const pieces = Array.from({ length: 500 }, (_, at) => Buffer.alloc(1 + ((at * 37) % 5_000), at));
    serve = async (answer) => {
      for (const piece of pieces) if (!answer.write(piece)) await once(answer, "drain");
      answer.end();
    };
    let seen = 0;
    const onBytes = ({ length }: Buffer) => {
      seen += length;
    };
    const stream = gathered(await asked(), { translate, onBytes });

    const whole = await buffer(stream);

    expect(whole.equals(Buffer.concat(pieces))).to.equal(true);
    expect(seen).to.equal(whole.length);
  });

  it("brings what has come without waiting for more", async () => {
    let more = () => {};
    serve = (answer) => {
      answer.write("first");
      more = () => void answer.end("second");
    };
    const pieces = gathered(await asked(), { translate })[Symbol.asyncIterator]();

    expect(String((await pieces.next()).value)).to.equal("first");
    more();
    expect(String((await pieces.next()).value)).to.equal("second");
    expect((await pieces.next()).done).to.equal(true);
  });

  it("leaves with the server what nobody reads yet", async () => {
    const huge = Buffer.alloc(24 * 1024 * 1024);
    let sent = false;
    serve = (answer) => {
      answer.end(huge, () => {
        sent = true;
      });
    };
    const stream = gathered(await asked(), { translate });
    stream.read(0);
    await once(stream, "readable");

    expect(stream.readableLength).to.be.at.most(1024 * 1024);
    expect(sent).to.equal(false);
    expect((await buffer(stream)).length).to.equal(huge.length);
  });

  it("fails with what it is given when the connection breaks off, and when the end is not as it should be", async () => {
    serve = (answer) => {
      answer.write("half");
      setImmediate(() => answer.destroy());
    };
    expect(await failureOf(asked().then((answer) => buffer(gathered(answer, { translate }))))).to.equal("broken off");

    serve = (answer) => void answer.end("another");
    const onEnd = () => {
      throw new Error("another one was expected");
    };
    expect(await failureOf(asked().then((answer) => buffer(gathered(answer, { translate, onEnd }))))).to.equal(
      "another one was expected",
    );
  });

  it("closes the connection when it is destroyed, also before it was read", async () => {
    const closed = Promise.withResolvers<void>();
    serve = (answer) => {
      answer.once("close", closed.resolve);
      answer.write("endless");
    };
    gathered(await asked(), { translate }).destroy();
    await closed.promise;
  });
});
