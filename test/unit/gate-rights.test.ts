import { expect } from "chai";
import fc from "fast-check";
import { type Right, rightOfGrpc, rightOfRest } from "../../runtime/domain/gate/rights.ts";
import { type Call, Passage, type Refusal } from "../../runtime/workflows/gate/passage.ts";

const rest: readonly [Right, string][] = [
  ["none", "GET /"],
  ["none", "GET /healthz"],
  ["none", "GET /livez"],
  ["none", "GET /readyz?"],
  ["none", "GET /dashboard/index.html"],
  ["none", "OPTIONS /collections/a/points"],
  ["read", "GET /collections"],
  ["read", "GET /collections/a"],
  ["read", "HEAD /collections/a"],
  ["read", "GET //collections/a/"],
  ["read", "GET /collections/snapshots"],
  ["read", "GET /collections/a/points/12"],
  ["read", "GET /collections/a/points/not-an-id"],
  ["read", "POST /collections/a/points"],
  ["read", "POST /collections/a/points/query/groups?timeout=3"],
  ["read", "POST /collections/a/points/search/matrix/pairs"],
  ["read", "GET /aliases"],
  ["write", "PUT /collections/a"],
  ["write", "DELETE /collections/a"],
  ["write", "POST /collections/aliases"],
  ["write", "PUT /collections/a/index"],
  ["write", "DELETE /collections/a/index/name.of%20it"],
  ["write", "PUT /collections/a/points?wait=true"],
  ["write", "POST /collections/a/points/delete"],
  ["write", "POST /collections/a/points/payload/clear"],
  ["administer", "POST /healthz"],
  ["administer", "GET /telemetry"],
  ["administer", "GET /metrics"],
  ["administer", "GET /cluster"],
  ["administer", "DELETE /cluster/peer/1"],
  ["administer", "POST /snapshots"],
  ["administer", "GET /collections/a/snapshots"],
  ["administer", "PUT /collections/a/snapshots/recover"],
  ["administer", "PUT /collections/a/%73napshots/recover"],
  ["administer", "PUT //collections//a//snapshots//recover/"],
  ["administer", "GET /collections/a/points/../snapshots"],
  ["administer", "GET /collections/a/%2e%2e/b/snapshots"],
  ["administer", "GET /collections/a%2Fsnapshots"],
  ["administer", "GET /collections/a/points/..%2F..%2Fb%2Fsnapshots"],
  ["administer", "GET /collections/%ff"],
  ["administer", "POST /collections/a/cluster"],
  ["administer", "PUT /collections/a/shards"],
  ["administer", "POST /collections/a/shards/0/snapshot/partial/create"],
  ["administer", "DELETE /issues"],
  ["administer", "GET http://elsewhere.example/collections"],
  ["administer", "TRACE /"],
];
const grpc: readonly [Right, string][] = [
  ["none", "/qdrant.Qdrant/HealthCheck"],
  ["none", "/grpc.health.v1.Health/Check"],
  ["read", "/qdrant.Points/Query"],
  ["read", "/qdrant.Collections/List"],
  ["write", "/qdrant.Points/Upsert"],
  ["write", "/qdrant.Collections/Delete"],
  ["administer", "/qdrant.Snapshots/Create"],
  ["administer", "/qdrant.Collections/CreateShardKey"],
  ["administer", "/qdrant.Collections/CollectionClusterInfo"],
  ["administer", "/qdrant.PointsInternal/Upsert"],
  ["administer", "/qdrant.Points/upsert"],
  ["administer", "/qdrant.Points/Upsert/"],
  ["administer", ""],
];

describe("rights of calls", () => {
  for (const [right, call] of rest) {
    it(`${call}: ${right}`, () => {
      const [method = "", url = ""] = call.split(" ");
      expect(rightOfRest(method, url)).to.equal(right);
    });
  }
  for (const [right, path] of grpc) it(`${path}: ${right}`, () => expect(rightOfGrpc(path)).to.equal(right));

  it("no spelling of a path of administrators is a client's", () => {
    const below = fc.constantFrom("snapshots", "snapshots/upload", "cluster", "shards", "shards/0/snapshots");
    const slashes = fc.constantFrom("/", "//", "///");
    const encoded = (text: string, at: number) => {
      const character = text.charCodeAt(at % text.length);
      return text[at % text.length] === "/"
        ? text
        : `${text.slice(0, at % text.length)}%${character.toString(16)}${text.slice((at % text.length) + 1)}`;
    };
    const method = fc.constantFrom("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH");
    fc.assert(
      fc.property(method, below, slashes, slashes, fc.nat(), fc.constantFrom("", "/", "?a=b", "/?"), (...given) => {
        const [verb, what, first, second, at, end] = given;
        expect(rightOfRest(verb, `${first}collections${second}a${first}${encoded(what, at)}${end}`)).to.equal(
          "administer",
        );
      }),
      { seed: 1 },
    );
  });
});

describe("passage", () => {
  const keys = { client: "of-clients", readOnly: "of-readers", administrator: "of-admins", passesOthers: false };
  const passageOf = (isOpen: boolean, passesOthers = false) =>
    new Passage({ region: "east", decision: () => ({ isOpen, reason: "of a test" }), keys: { ...keys, passesOthers } });
  const callOf = (right: Right, key: string | undefined): Call => ({ right, key, cutOff: () => {} });
  const outcome = (passage: Passage, right: Right, key?: string): Refusal["kind"] | "own key" | "as it came" => {
    const admission = passage.enter(callOf(right, key));
    if ("kind" in admission) return admission.kind;
    return admission.usesOwnKey ? "own key" : "as it came";
  };

  it("gives each key its rights and no more", () => {
    const passage = passageOf(true);
    const rights = ["none", "read", "write", "administer"] as const;
    const table = [undefined, "of-readers", "of-clients", "of-admins", "of-nobody"].map((key) =>
      rights.map((right) => outcome(passage, right, key)),
    );
    expect(table).to.deep.equal([
      ["as it came", "unknown key", "unknown key", "unknown key"],
      ["own key", "own key", "forbidden", "forbidden"],
      ["own key", "own key", "own key", "forbidden"],
      ["own key", "own key", "own key", "own key"],
      ["as it came", "unknown key", "unknown key", "unknown key"],
    ]);
  });

  it("passes other keys on as they came where it is told to, and none of them to what is the administrators'", () => {
    const passage = passageOf(true, true);
    expect(outcome(passage, "write", "a.jwt.token")).to.equal("as it came");
    expect(outcome(passage, "administer", "a.jwt.token")).to.equal("forbidden");
    expect(outcome(passage, "read")).to.equal("unknown key");
  });

  it("lets nobody through while it is closed, and tells those with a key why", () => {
    const passage = passageOf(false);
    expect(outcome(passage, "none")).to.equal("closed");
    expect(outcome(passage, "administer", "of-admins")).to.equal("closed");
    expect(outcome(passage, "read", "of-nobody")).to.equal("unknown key");
  });

  it("counts what is under way, and cuts it off when told", () => {
    const passage = passageOf(true);
    let isCut = false;
    const one = passage.enter({ right: "write", key: "of-clients", cutOff: () => (isCut = true) });
    const other = passage.enter(callOf("read", "of-readers"));
    if ("kind" in one || "kind" in other) throw new Error("both are let through");
    expect(passage.inFlight).to.equal(2);
    other.leave();
    passage.cutOff();
    expect([passage.inFlight, passage.cut, isCut]).to.deep.equal([1, 1, true]);
  });

  it("a key that was changed counts at once", () => {
    const passage = passageOf(true);
    passage.changeKeys({ client: "newer", passesOthers: false });
    expect(["of-clients", "of-admins", "newer"].map((key) => outcome(passage, "read", key))).to.deep.equal([
      "unknown key",
      "unknown key",
      "own key",
    ]);
  });
});
