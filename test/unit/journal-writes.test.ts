/** Which writes there are, and which points each touches. */
import { expect } from "chai";
import fc from "fast-check";
import { rightOfRest } from "../../runtime/domain/gate/rights.ts";
import { touchedPoints } from "../../runtime/domain/journal/touched-points.ts";
import { writeOfGrpc, writeOfRest } from "../../runtime/domain/journal/write-class.ts";

const changes = (call: string) => {
  const [method = "", path = ""] = call.split(" ");
  const write = writeOfRest(method, path, rightOfRest(method, path) === "read");
  return write === undefined
    ? "nothing"
    : `${write.changes} ${"collection" in write ? (write.collection ?? "") : ""}`.trim();
};

describe("what a call changes", () => {
  const table: Readonly<Record<string, readonly string[]>> = {
    "points a": [
      "PUT /collections/a/points",
      "POST /collections/a/points/delete?wait=true",
      "POST /collections//a/points/batch/",
      "PUT /collections/a/points/vectors",
      "POST /collections/a/points/vectors/delete",
      "PUT /collections/a/points/payload",
      "POST /collections/a/points/payload",
      "POST /collections/a/points/payload/delete",
      "POST /collections/a/points/payload/clear",
    ],
    "points delete": ["PUT /collections/delete/points"],
    "collection a": [
      "PUT /collections/a",
      "PATCH /collections/a",
      "DELETE /collections/a",
      "PUT /collections/a/index",
      "DELETE /collections/a/index/points",
      "DELETE /collections/a/index/delete",
      "PUT /collections/a/vectors/new",
      "DELETE /collections/a/vectors/delete",
    ],
    "collection aliases": ["PUT /collections/aliases"],
    aliases: ["POST /collections/aliases"],
    "shard keys a": ["PUT /collections/a/shards", "POST /collections/a/shards/delete"],
    "everything a": [
      "PUT /collections/a/snapshots/recover",
      "POST /collections/a/snapshots/upload?priority=snapshot",
      "PUT /collections/a/shards/0/snapshots/recover",
      "POST /collections/a/shards/0/snapshots/upload",
      "POST /collections/a/shards/0/snapshot/partial/recover_from",
      "POST /collections/a/cluster",
      "POST /collections/a/points/of-a-newer-version",
    ],
    everything: ["PUT /of/a/newer/version", "POST /collections/%2F/points", "POST /collections/../x"],
    nothing: [
      "GET /collections/a/points/1",
      "POST /collections/a/points",
      "POST /collections/a/points/scroll",
      "POST /collections/a/points/query/batch",
      "POST /collections/a/facet",
      "OPTIONS /collections/a/points",
      "POST /collections/a/snapshots",
      "DELETE /collections/a/snapshots/x",
      "POST /collections/a/shards/0/snapshots",
      "POST /collections/a/shards/0/snapshot/partial/create",
      "POST /snapshots",
      "DELETE /cluster/peer/7",
      "POST /locks",
    ],
  };
  for (const [expected, calls] of Object.entries(table)) {
    it(`is ${expected}`, () => {
      expect(calls.map(changes)).to.deep.equal(calls.map(() => expected));
    });
  }

  it("is named for every call that takes the right to write", () => {
    const parts = fc.array(
      fc.constantFrom("collections", "a", "points", "index", "vectors", "payload", "delete", "x"),
      {
        maxLength: 6,
      },
    );
    const method = fc.constantFrom("PUT", "POST", "PATCH", "DELETE");
    fc.assert(
      fc.property(method, parts, (given, names) => {
        const path = `/${names.join("/")}`;
        if (rightOfRest(given, path) !== "write") return;
        expect(changes(`${given} ${path}`)).to.match(/^(points|collection|aliases) ?/);
      }),
      { numRuns: 2_000 },
    );
  });

  it("is told of calls of gRPC by their names", () => {
    const told = (path: string, isRead = false) => writeOfGrpc(path, isRead) ?? "nothing";
    const points = ["Upsert", "Delete", "UpdateBatch", "UpdateVectors", "DeleteVectors", "SetPayload", "ClearPayload"];
    expect(points.map((name) => told(`/qdrant.Points/${name}`))).to.deep.equal(points.map(() => "points"));
    expect(told("/qdrant.Points/CreateFieldIndex")).to.equal("collection");
    expect(told("/qdrant.Collections/Create")).to.equal("collection");
    expect(told("/qdrant.Collections/UpdateAliases")).to.equal("aliases");
    expect(told("/qdrant.Collections/CreateShardKey")).to.equal("shard keys");
    expect(told("/qdrant.Snapshots/Create")).to.equal("nothing");
    expect(told("/qdrant.Points/Search", true)).to.equal("nothing");
    expect(told("/qdrant.Points/OfANewerVersion")).to.equal("everything");
  });
});

describe("the points that a write touches", () => {
  const touched = (body: unknown) => touchedPoints(Buffer.from(typeof body === "string" ? body : JSON.stringify(body)));
  const uuid = "936da01f-9abd-4d9d-80c7-02af85c822a8";

  it("are found in every form of a write", () => {
    const forms: readonly (readonly [unknown, readonly string[], readonly string[]])[] = [
      [{ points: [1, uuid.toUpperCase(), uuid] }, ["1", `"${uuid}"`], []],
      ['{"points":[18446744073709551615, 9007199254740993]}', ["18446744073709551615", "9007199254740993"], []],
      [{ points: [{ vector: [1, 2], id: 7 }], shard_key: "x" }, ["7"], []],
      [{ batch: { ids: [1, 2], vectors: [[1], [2]], payloads: [null, {}] } }, ["1", "2"], []],
      [{ payload: { points: [3], filter: {} }, points: [4], filter: null }, ["4"], []],
      [{ keys: ["a"], filter: { must: [] } }, [], ['{"must":[]}']],
      [
        {
          operations: [
            { upsert: { points: [{ id: 1 }] } },
            { delete: { filter: { a: "]" } } },
            { clear_payload: { points: [2] } },
          ],
        },
        ["1", "2"],
        ['{"a":"]"}'],
      ],
      [' { "po\\u0069nts" : [ { "id" : 5 , "payload" : { "x" : "\\"}" } } ] } ', ["5"], []],
      ["{}", [], []],
    ];
    for (const [body, ids, filters] of forms) {
      const found = touched(body);
      expect([found.ids, found.filters], JSON.stringify(body)).to.deep.equal([ids, filters]);
    }
  });

  it("are the same as a parser finds, whatever payloads and vectors are", () => {
    const vector = fc.oneof(
      fc.array(fc.double({ noNaN: true, noDefaultInfinity: true })),
      fc.array(fc.array(fc.float())),
    );
    const point = fc.record({ id: fc.nat(), vector, payload: fc.dictionary(fc.string(), fc.jsonValue()) });
    fc.assert(
      fc.property(fc.uniqueArray(point, { selector: ({ id }) => id }), fc.nat(3), (points, indent) => {
        const { points: found = [], ids } = touched(JSON.stringify({ points }, undefined, indent));
        expect(ids).to.deep.equal(points.map(({ id }) => String(id)));
        expect(found.map(({ text }) => JSON.parse(text))).to.deep.equal(JSON.parse(JSON.stringify(points)));
        expect(found.every(({ text }) => !text.includes("\n"))).to.equal(true);
      }),
    );
  });

  it("are whole only where a body says so: each once, unconditionally, with its vectors in numbers", () => {
    const one = { id: 1, vector: { a: [1], s: { indices: [1], values: [1] } }, payload: {} };
    expect(touched({ points: [one] }).points?.[0]).to.deep.include({ vectors: ["a", "s"], hasPayload: true });
    expect(touched({ points: [{ id: 1, vector: [[1], [2]] }] }).points?.[0]).to.deep.include({
      vectors: [""],
      hasPayload: false,
    });
    expect(touched({ points: [{ ...one, vector: { a: { text: "x", model: "y" } } }] }).points?.[0]?.vectors).to.equal(
      undefined,
    );
    expect(touched({ points: [{ ...one, payload: null }] }).points?.[0]?.hasPayload).to.equal(false);
    for (const other of [
      { points: [one, one] },
      { points: [one], update_filter: {} },
      { points: [one], update_mode: "insert_only" },
      { operations: [{ upsert: { points: [one] } }] },
      { points: [1] },
      `{"points":[${JSON.stringify(one)}],"points":[${JSON.stringify({ ...one, id: 2 })}]}`,
      `{"points":[{"id":2,"vector":[1],"payload":{},"id":3}]}`,
    ]) {
      expect(touched(other).points, JSON.stringify(other)).to.equal(undefined);
    }
  });

  it("are unclear where an id or a shard key is none that is known, and nothing is found where it is no JSON", () => {
    expect(touched('{"points":[1.0]}').unclear).to.equal("1.0 is no id that the gate knows");
    expect(touched({ points: [1], shard_key: { target: "a", fallback: "b" } }).unclear).to.be.a("string");
    expect(touched({ points: [1], shard_key: ["a", 7] }).shardKeys).to.deep.equal(['"a"', "7"]);
    for (const broken of ["", "{", '{"points":[1}', '{"points" [1]}', "[1]", '{"points":["a]}', '{"a":tru"e}']) {
      expect(() => touched(broken), broken).to.throw(SyntaxError);
    }
  });
});
