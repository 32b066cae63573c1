/** Numbers that JavaScript's cannot hold, or writes otherwise, wherever Qdrant takes one: each comes back digit for digit. Real Qdrants. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { runCli } from "../../runtime/cli.ts";
import { compose } from "../../runtime/composition/compose.ts";
import { exactText } from "../../runtime/domain/exact-json.ts";
import type { RecoveryPoint } from "../../runtime/domain/recovery-points/recovery-point.ts";
import { findDivergence, keepDivergence } from "../../runtime/workflows/failover/report-divergence.ts";
import { databaseOf, emptied, RecoveryPractice } from "../support/estates/recovery-practice.ts";
import { regionPair } from "../support/estates/region-pair.ts";
import { storeOf } from "../support/estates/test-trust.ts";
import { QdrantCluster } from "../support/servers/qdrant-cluster.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const collection = "numbers";
const uuid = "5c56c793-69f3-4fbf-87e6-c4bf54c28c26";
const ids = ["0", "9007199254740993", "18446744073709551615", `"${uuid}"`];
const numbers =
  '{"above":1234567890123456789,"most":18446744073709551615,"least":-9223372036854775808,"whole":1,"float":1.0,"minus":-0.0,' +
  '"plus":0.0,"huge":1e300,"nested":{"deep":[{"n":9007199254740993},[-9007199254740993,1.5,0.00001,1e-7]]},"text":"1.0, 2e5"}';
const metadata =
  '{"owner":9007199254740993,"share":1.0,"none":-0.0,"most":18446744073709551615,"all":[1e300,{"a":-1}]}';

interface Server {
  readonly url: string;
  readonly apiKey: string;
}

/** As Qdrant writes it: no JSON is parsed on either side. */
async function resultOf({ apiKey, url }: Server, method: string, path: string, body?: string): Promise<string> {
  const headers = { "api-key": apiKey, "content-type": "application/json" };
  const answer = await fetch(url + path, { method, headers, ...(body === undefined ? {} : { body }) });
  const text = await answer.text();
  const [, result] = /^\{"result":(.*),"status":"ok"/.exec(text) ?? [];
  if (result === undefined) throw new Error(`${method} ${path}: ${text}`);
  return result;
}

const pointsPath = `/collections/${collection}/points`;
const upsert = (server: Server, points: string, more = "") =>
  resultOf(server, "PUT", `${pointsPath}?wait=true`, `{"points":[${points}]${more}}`);
const point = (id: string, payload = numbers) => `{"id":${id},"vector":[1.0,0.00001],"payload":${payload}}`;
const contentOf = (server: Server) =>
  Promise.all(
    ids.map((id) => resultOf(server, "POST", pointsPath, `{"ids":[${id}],"with_payload":true,"with_vector":true}`)),
  );
const metadataOf = async (server: Server) =>
  /"metadata":(.*)\},"payload_schema"/.exec(await resultOf(server, "GET", `/collections/${collection}`))?.[1];

function create(server: Server, more = ""): Promise<string> {
  const settings = `"vectors":{"size":2,"distance":"Dot"},"wal_config":{"wal_capacity_mb":1},"metadata":${metadata}${more}`;
  return resultOf(server, "PUT", `/collections/${collection}`, `{${settings}}`);
}

describe("numbers of any size and form", function () {
  this.timeout(60_000);
  let source: QdrantServer;
  let target: QdrantServer;
  let practice: RecoveryPractice;

  before(async () => {
    [source, target] = await Promise.all([QdrantServer.start(), QdrantServer.start()]);
    practice = await RecoveryPractice.start();
  });

  after(async () => {
    await Promise.all([source?.stop(), target?.stop()]);
  });

  beforeEach("points with such ids and payloads", async () => {
    await Promise.all([source, target].map((server) => emptied(databaseOf(server))));
    await create(source);
    await upsert(source, ids.map((id) => point(id)).join(","));
  });

  const factsOf = async (recoveryPoint: RecoveryPoint) => (await practice.factsOf(recoveryPoint))[0];

  it("are captured, restored and compared digit for digit: ids, payloads and metadata", async () => {
    const before = await contentOf(source);
    expect(before).to.deep.equal(ids.map((id) => `[{"id":${id},"payload":${numbers},"vector":[1.0,0.00001]}]`));

    const captured = await practice.capture(databaseOf(source));
    const facts = await factsOf(captured);
    for (const id of [0, 9007199254740993n, 18446744073709551615n, uuid])
      expect(
        facts?.samples.some((sample) => sample.id === id),
        `sample of ${id}`,
      ).to.equal(true);
    expect(facts?.canaries.flatMap(({ answer }) => answer.map(({ id }) => id))).to.include(18446744073709551615n);
    const again = await practice.capture(databaseOf(source), "incremental");
    const report = await practice.restore(again, databaseOf(target));

    expect(await contentOf(target)).to.deep.equal(before);
    expect(await metadataOf(target)).to.equal(metadata);
    expect(report.samples).to.equal(ids.length);
  });

  const changes: [what: string, from: string, to: string][] = [
    ["an integer beyond 2^53 by one", '"above":1234567890123456789', '"above":1234567890123456790'],
    ["the float 1.0 by the integer 1", '"float":1.0', '"float":1'],
    ["-0.0 by 0.0", '"minus":-0.0', '"minus":0.0'],
  ];
  for (const [what, from, to] of changes) {
    it(`tell a point that differs in ${what}`, async () => {
      await create(target);
      await upsert(target, ids.map((id) => point(id)).join(","));
      const [there, here] = [databaseOf(source), databaseOf(target)];
      expect(await findDivergence(there, here)).to.deep.equal([]);

      await upsert(target, point("18446744073709551615", numbers.replace(from, to)));

      expect(await findDivergence(there, here)).to.deep.equal([
        { name: collection, isMissing: false, onlyThere: [], different: [18446744073709551615n] },
      ]);
    });
  }

  it("stop nothing where a strict collection has them in what it allows", async () => {
    const strict =
      '"strict_mode_config":{"enabled":true,"read_rate_limit":18446744073709551615,"search_allow_exact":false}';
    await resultOf(source, "PATCH", `/collections/${collection}`, `{${strict}}`);

    await practice.restore(await practice.capture(databaseOf(source)), databaseOf(target));

    expect(await contentOf(target)).to.deep.equal(await contentOf(source));
  });

  it("stop nothing where a vector holds more than 32 bits can, so that scores are not finite", async () => {
    await upsert(source, `{"id":1,"vector":[1e39,1.0]},{"id":2,"vector":[1e38,1e38]}`);
    const captured = await practice.capture(databaseOf(source));
    const scores = (await factsOf(captured))?.canaries.flatMap(({ answer }) => answer.map(({ score }) => score));
    expect(scores, "such searches prove nothing").to.not.include(null);

    const report = await practice.restore(captured, databaseOf(target));

    expect(report.samples).to.equal(ids.length + 2);
    const body = '{"ids":[1,2],"with_vector":true}';
    expect(await resultOf(target, "POST", pointsPath, body)).to.equal(await resultOf(source, "POST", pointsPath, body));
  });

  it("stop nothing where scores are whole numbers beyond 2^53, and such searches are asked again afterwards", async () => {
    await upsert(source, `{"id":1,"vector":[3e8,3e8]},{"id":2,"vector":[4e9,4e9]}`);
    const captured = await practice.capture(databaseOf(source));
    const scores = (await factsOf(captured))?.canaries.flatMap(({ answer }) => answer.map(({ score }) => score ?? 0));
    expect(Math.max(...(scores ?? []))).to.be.greaterThan(2 ** 53);

    const report = await practice.restore(captured, databaseOf(target));

    expect(report.canaries).to.equal((await factsOf(captured))?.canaries.length);
  });

  describe("in commands", () => {
    const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-numbers-"));

    after(() => rmSync(folder, { recursive: true, force: true }));

    async function run(...args: string[]) {
      let output = "";
      const say = (text: string) => {
        output += `${text}\n`;
      };
      const deps = await compose({ progress: () => undefined, onInterrupt: () => () => undefined });
      const exitCode = await runCli([...args, "--outputs", join(folder, "regions")], deps, { out: say, err: say });
      return { exitCode, output };
    }

    it("are replicated, and a divergence is told by ids with all their digits, also in the record that is kept", async () => {
      const of = ({ apiKey, url }: QdrantServer) => ({ qdrant: { peers: [url], apiKey } });
      const regions = await regionPair(folder, { east: of(source), west: of(target) });
      const cycle = await run("replicate", "--from", "east", "--to", "west", "--once");
      expect(cycle.exitCode, cycle.output).to.equal(0);
      expect(await contentOf(target)).to.deep.equal(await contentOf(source));
      expect(await metadataOf(target)).to.equal(metadata);

      await upsert(source, `${point("9007199254740993", '{"n":1}')},${point("9007199254740995")}`);
      const told = await run("divergence", "--to", "east", "--json");

      const found = '"onlyThere":[9007199254740995],"different":[9007199254740993]}]';
      expect(told.exitCode, told.output).to.equal(0);
      expect(told.output).to.contain(found);
      const control = storeOf(regions.west, "control");
      const collections = await findDivergence(databaseOf(source), databaseOf(target));
      const key = await keepDivergence(control, { epoch: 1, run: "run", at: new Date(), collections });
      expect(readFileSync(join(folder, "west-control", key), "utf8")).to.contain(found);
    });
  });
});

describe("shard keys that are large numbers", function () {
  this.timeout(60_000);
  let source: QdrantCluster;
  let target: QdrantCluster;

  before(async () => {
    [source, target] = await Promise.all([QdrantCluster.start(1), QdrantCluster.start(1)]);
  });

  after(async () => {
    await Promise.all([source?.stop(), target?.stop()]);
  });

  const serverOf = ({ apiKey, urls }: QdrantCluster): Server => ({ apiKey, url: urls[0] ?? "" });

  it("are made again digit for digit, neighbours apart, each with its points", async () => {
    const keys = [18446744073709551615n, 9007199254740993n, 9007199254740992n, 9007199254740991, "7"];
    await create(serverOf(source), ',"sharding_method":"custom"');
    for (const [rank, key] of keys.entries()) {
      await databaseOf(source).createShardKey(collection, { key, shards: 1 });
      await upsert(serverOf(source), point(ids[rank] ?? "5"), `,"shard_key":${exactText(key)}`);
    }

    const practice = await RecoveryPractice.start();
    await practice.restore(await practice.capture(databaseOf(source)), databaseOf(target));

    expect((await databaseOf(target).shards(collection)).map(({ key }) => key)).to.deep.equal(keys);
    expect(await contentOf(serverOf(target))).to.deep.equal(await contentOf(serverOf(source)));
    for (const key of keys) {
      const body = `{"exact":true,"shard_key":${exactText(key)}}`;
      expect(await resultOf(serverOf(target), "POST", `${pointsPath}/count`, body), `${key}`).to.equal('{"count":1}');
    }
    const kept = keys[1] ?? "";
    await databaseOf(target).deleteShardKey(collection, kept);
    const left = (await databaseOf(target).shards(collection)).map(({ key }) => key);
    expect(left).to.deep.equal(keys.filter((key) => key !== kept));
  });
});
