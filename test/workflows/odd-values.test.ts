/** Values that are allowed where they come from and odd everywhere else: each is kept or told, and none stops what comes after it. */
import { expect } from "chai";
import { storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import type { ProgressEvent } from "../../runtime/ports/progress.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import { systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf, contentOf, databaseOf, emptied, RecoveryPractice } from "../support/estates/recovery-practice.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

describe("odd values in Qdrant", function () {
  this.timeout(120_000);
  let server: QdrantServer;
  let target: QdrantServer;
  let practice: RecoveryPractice;
  let told: string[];

  before(async () => {
    [server, target] = await Promise.all([QdrantServer.start(), QdrantServer.start()]);
  });

  beforeEach(async () => {
    practice = await RecoveryPractice.start();
    told = [];
    await emptied(databaseOf(server));
    await emptied(databaseOf(target));
    await clientOf(server).createCollection("notes", {
      vectors: { size: 4, distance: "Dot" },
      wal_config: { wal_capacity_mb: 1 },
    });
  });

  after(async () => {
    await Promise.all([server?.stop(), target?.stop()]);
  });

  async function capture(type: "full" | "incremental" = "incremental") {
    const repository = await OpenRepository.openOrCreate(practice.stores, practice.wrap);
    const progress = ({ detail, step }: ProgressEvent) => void told.push(`${step} ${detail}`);
    const { recoveryPoint } = await captureRecoveryPoint({
      region: "east",
      type,
      database: databaseOf(server),
      repository,
      clock: systemClock,
      progress,
      toolVersion: "test",
    });
    return repository.readRecoveryPoint(recoveryPoint);
  }

  const put = (...vectors: number[][]) =>
    clientOf(server).upsert("notes", { wait: true, points: vectors.map((vector, id) => ({ id, vector })) });

  it("a search whose score is infinite is left out by name, and the collection is restored exactly", async () => {
    await put([1e30, 1, 1, 1], [1, 2, 3, 4]);
    const recoveryPoint = await capture("full");
    expect(told.join("\n")).to.contain("plan notes: ").and.to.contain("searches are not kept for comparison");
    for (const { answer } of (await practice.factsOf(recoveryPoint)).flatMap(({ canaries }) => canaries)) {
      for (const { score } of answer) expect(score).to.satisfy(Number.isFinite);
    }
    await practice.restore(recoveryPoint, databaseOf(target));
    expect(await contentOf(databaseOf(target), "notes")).to.deep.equal(await contentOf(databaseOf(server), "notes"));
    await put([1, 2, 3, 4]);
    expect((await capture()).collections[0]?.pointsAfter).to.equal(2);
  });

  it("searches are compared where all their scores are numbers", async () => {
    await put([1, 1, 1, 1], [1, 2, 3, 4]);
    const [facts] = await practice.factsOf(await capture("full"));
    expect(facts?.canaries.map(({ amongSamples }) => amongSamples ?? false)).to.deep.equal([true, false, false]);
    expect(told.join("\n")).not.to.contain("not kept");
  });

  it("a plan that cannot be read, of a capture that was cut off, is named, and captures go on", async () => {
    await put([1, 2, 3, 4]);
    const first = await capture();
    const [plan] = [...practice.stores.repository.objects.keys()].filter((key) => key.startsWith(storeLayout.sessions));
    const key = storeLayout.capturePlan("20991231T235959999Z-00000000");
    practice.stores.repository.objects.set(key, practice.stores.repository.objects.get(plan ?? "") ?? Buffer.from("?"));
    await put([1, 2, 3, 4], [4, 3, 2, 1]);
    const second = await capture();
    expect(told.join("\n")).to.contain(`ignore ${key}`);
    expect(second.id).not.to.equal(first.id);
    expect(second.collections[0]?.pointsAfter).to.equal(2);
  });
});
