import { expect } from "chai";
import fc from "fast-check";
import { clientOf } from "../../runtime/adapters/qdrant/qdrant-peers.ts";
import { headerKey } from "../../runtime/domain/header-key.ts";
import { regionSchema } from "../../runtime/domain/region.ts";
import {
  addressOf,
  namedTwice,
  readAddress,
  requestUrl,
  urlOf,
  withoutLogin,
} from "../../runtime/domain/server-address.ts";
import { DrError } from "../../runtime/errors.ts";

/** Where the client library sends a request for the collections; nothing is sent. */
async function askedByTheClient(url: string): Promise<string> {
  const before = globalThis.fetch;
  let asked = "";
  globalThis.fetch = async (input) => {
    asked = new Request(input).url;
    return Response.json({ result: { collections: [] } });
  };
  try {
    await clientOf(addressOf(url), "", 1_000).getCollections();
  } finally {
    globalThis.fetch = before;
  }
  return asked;
}

describe("the address that a URL names", () => {
  const meant: [url: string, address: string, asked: string][] = [
    ["http://10.0.0.5", "http://10.0.0.5:80", "http://10.0.0.5/collections"],
    ["http://10.0.0.5:80", "http://10.0.0.5:80", "http://10.0.0.5/collections"],
    ["http://10.0.0.5:443", "http://10.0.0.5:443", "http://10.0.0.5:443/collections"],
    ["http://10.0.0.5:6333/", "http://10.0.0.5:6333", "http://10.0.0.5:6333/collections"],
    ["https://q.example", "https://q.example:443", "https://q.example/collections"],
    ["https://q.example:443/", "https://q.example:443", "https://q.example/collections"],
    ["https://q.example:80", "https://q.example:80", "https://q.example:80/collections"],
    ["https://q.example/qdrant", "https://q.example:443/qdrant", "https://q.example/qdrant/collections"],
    ["https://q.example/a/b//", "https://q.example:443/a/b", "https://q.example/a/b/collections"],
    ["http://[::1]", "http://[::1]:80", "http://[::1]/collections"],
    ["http://[::1]:6333", "http://[::1]:6333", "http://[::1]:6333/collections"],
    ["http://[2001:DB8::0:1]:443/x", "http://[2001:db8::1]:443/x", "http://[2001:db8::1]:443/x/collections"],
    ["HTTP://Q.Example:0080", "http://q.example:80", "http://q.example/collections"],
    [" http://q.example:6333\n", "http://q.example:6333", "http://q.example:6333/collections"],
  ];
  for (const [url, address, asked] of meant) {
    it(`${JSON.stringify(url)} is ${address}, for the client library and for our own requests`, async () => {
      expect(urlOf(addressOf(url))).to.equal(address);
      expect(requestUrl(addressOf(url), "/collections").href).to.equal(asked);
      expect(await askedByTheClient(url)).to.equal(asked);
    });
  }

  const refused: [url: string, wanted: string][] = [
    ["", "begins with http"],
    ["q.example:6333", "begins with http"],
    ["10.0.0.5", "begins with http"],
    ["http:q.example", "begins with http"],
    ["http://", "begins with http"],
    ["http://q.example:port", "begins with http"],
    ["http://q.example:65536", "begins with http"],
    ["ftp://q.example", "begins with http"],
    ["grpc://q.example:6334", "begins with http"],
    ["file:///qdrant", "begins with http"],
    ["http://q.example:0", "port is 1 to 65535"],
    ["http://secret@q.example", "without a user"],
    ["http://:secret@q.example", "without a user"],
    ["http://user:secret@q.example:6333", "without a user"],
    ["http://q.example?key=secret", "no ? and no #"],
    ["http://q.example/?", "no ? and no #"],
    ["http://q.example/#secret", "no ? and no #"],
    ["user:secret@q.example:6333", "begins with http"],
  ];
  for (const [url, wanted] of refused) {
    it(`refuses ${JSON.stringify(url)}, and says what is wanted`, () => {
      const read = readAddress(url);
      expect("problem" in read && read.problem).to.contain(wanted);
      expect(() => addressOf(url))
        .to.throw(DrError, wanted)
        .that.satisfies(({ code, message }: DrError) => code === "SETTING_INVALID" && !message.includes("secret"));
    });
  }

  const host = fc.oneof(
    fc.domain(),
    fc.ipV4(),
    fc.ipV6().map((address) => `[${address}]`),
  );
  const segment = fc.stringMatching(/^[a-z0-9_-]{1,8}$/);

  it("any host, port and path: both ways of asking go to the same place, below the path", async () => {
    const port = fc.option(fc.integer({ min: 1, max: 65_535 }));
    const where = fc.tuple(fc.constantFrom("http", "https"), host, port, fc.array(segment), fc.boolean());
    await fc.assert(
      fc.asyncProperty(where, async ([scheme, name, number, path, endsInSlash]) => {
        const base = `${scheme}://${name}${number === null ? "" : `:${number}`}`;
        const prefix = path.map((part) => `/${part}`).join("");
        const url = `${base}${prefix}${endsInSlash ? "/" : ""}`;
        const asked = requestUrl(addressOf(url), "/collections").href;
        expect(asked).to.equal(new URL(`${base}${prefix}/collections`).href);
        expect(await askedByTheClient(url)).to.equal(asked);
        expect(urlOf(addressOf(urlOf(addressOf(url))))).to.equal(urlOf(addressOf(url)));
      }),
      { seed: 7, numRuns: 200 },
    );
  });

  it("whatever login is in a URL, no message holds it", () => {
    const secret = fc.stringMatching(/^[!-~]{8,20}$/);
    fc.assert(
      fc.property(secret, segment, (password, user) => {
        for (const text of [`http://${user}:${password}@q.example`, `${user}:${password}@q.example:6333`]) {
          expect(withoutLogin(text)).not.to.contain(password);
        }
      }),
      { seed: 7, numRuns: 500 },
    );
  });

  it("finds a peer that is named twice, by whatever URL", () => {
    expect(namedTwice(["http://a.example", "http://b.example", "http://A.example:80/"])).to.equal(
      "http://a.example:80",
    );
    expect(namedTwice(["http://a.example", "https://a.example", "http://a.example/x"])).to.equal(undefined);
  });

  it("the outputs of a region name each peer once, with a URL that says where and nothing else", () => {
    const { peers } = regionSchema.shape.qdrant.shape;
    expect(peers.safeParse(["http://a.example", "https://a.example/qdrant"]).success).to.equal(true);
    for (const wrong of [[], ["http://a.example", "http://a.example:80"], ["http://k@a.example"], ["a.example:6333"]]) {
      expect(peers.safeParse(wrong).success, wrong.join()).to.equal(false);
    }
  });
});

describe("a key that is sent in a header", () => {
  it("is taken without the line end of the file that it was in", () => {
    for (const text of ["a key", "a key\n", "a key\r\n", " a key\t", "\ufeffa key\n"]) {
      expect(headerKey(text, "the key"), JSON.stringify(text)).to.equal("a key");
    }
  });

  it("is refused as a setting when it stands in quotes, and is not shown", () => {
    for (const text of ['"a secret"', "'a secret'\n", "`a secret`"]) {
      expect(() => headerKey(text, "the key"))
        .to.throw(DrError, "the key stands in quotes")
        .that.satisfies(({ code, message }: DrError) => code === "SETTING_INVALID" && !message.includes("a secret"));
    }
  });

  for (const [text, at] of [
    ["two\nlines", 4],
    ["tab\there", 4],
    ["nul\0", 4],
    ["schlüssel", 5],
    ["ключ", 1],
    ["🔑key", 1],
    ["del\x7f", 4],
  ] as const) {
    it(`is refused as a setting when it is ${JSON.stringify(text)}, and is not shown`, () => {
      expect(() => headerKey(text, "the key in QDRANT_API_KEY"))
        .to.throw(DrError, `the key in QDRANT_API_KEY cannot be sent: its character ${at} `)
        .that.satisfies(({ code, message }: DrError) => code === "SETTING_INVALID" && !message.includes(text));
    });
  }
});
