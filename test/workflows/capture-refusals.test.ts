import { expect } from "chai";
import type { RecoveryPoint } from "../../runtime/domain/recovery-points/recovery-point.ts";
import type { KeyWrap } from "../../runtime/ports/key-wrap.ts";
import type { VectorDatabase } from "../../runtime/ports/qdrant.ts";
import { readCatalog } from "../../runtime/repository/catalog/read-catalog.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { FailoverRecords } from "../../runtime/repository/control/failover-records.ts";
import { recordRestoreEnd, recordRestoreStart } from "../../runtime/repository/control/restore-records.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import type { CaptureRequest } from "../../runtime/workflows/capture/capture-request.ts";
import { forecastCapture } from "../../runtime/workflows/capture/forecast-capture.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";
import { clockShowing } from "../support/time/clock-showing.ts";

const now = new Date("2026-01-02T00:00:00.000Z");
const clock = clockShowing(() => now);
const plainWrap: KeyWrap = {
  holders: "anybody",
  wrap: async (secret) => Buffer.from(secret),
  unwrap: async (wrapped) => Buffer.from(wrapped).toString(),
};
/** A Qdrant that holds nothing: what one that lost its disk answers. */
const emptyDatabase = {
  version: async () => "1.16.3",
  time: async () => undefined,
  collections: async () => [],
  listCollections: async () => ({ names: [], answered: 1, silent: [] }),
  exists: async () => false,
  aliases: async () => [],
} as unknown as VectorDatabase;

async function repositoryOf(epoch: { recoveryPoint?: string }) {
  const stores = { repository: new MemoryStore(), control: new MemoryStore() };
  const record = { epoch: 1, active: "west", run: "r", at: "2026-01-01T00:00:00.000Z", ...epoch };
  await claimEpoch(stores.control, { ...record, reason: epoch.recoveryPoint === undefined ? "initial" : "failover" });
  return OpenRepository.openOrCreate(stores, plainWrap);
}

async function codeOf(act: Promise<unknown>): Promise<unknown> {
  return act.then(
    () => "done",
    (error: { code?: string }) => error.code,
  );
}

const requestOf = (repository: OpenRepository, database = emptyDatabase): CaptureRequest => ({
  region: "west",
  type: "full",
  database,
  repository,
  clock,
  progress: () => undefined,
  toolVersion: "0",
});
const capture = (repository: OpenRepository, allowEmpty = false) =>
  captureRecoveryPoint({ ...requestOf(repository), allowEmpty });
const dryRun = (repository: OpenRepository) => forecastCapture(requestOf(repository));

describe("what must not become the newest recovery point", () => {
  it("an emptied Qdrant after a point that holds points, unless that is said to be meant", async () => {
    const repository = await repositoryOf({});
    const collection = { name: "c", key: repository.description.key, facts: "f".repeat(64), shards: [] };
    const full: RecoveryPoint = {
      format: 1,
      id: "before",
      type: "full",
      kinds: ["qdrant"],
      region: "west",
      epoch: 1,
      startedAt: "2026-01-01T12:00:00.000Z",
      time: "2026-01-01T12:00:00.000Z",
      finishedAt: "2026-01-01T12:00:01.000Z",
      qdrantVersion: "1.16.3",
      toolVersion: "0",
      collections: [{ ...collection, pointsBefore: 5, pointsAfter: 5 }],
      aliases: [],
      folders: [],
    };
    await repository.createRecoveryPoint(full);

    expect(await codeOf(capture(repository))).to.equal("LINEAGE_BROKEN");
    expect((await readCatalog(repository)).entries.map(({ id }) => id)).to.deep.equal(["before"]);
    expect(await codeOf(capture(repository, true))).to.equal("done");
  });

  it("a region whose failover has not opened it yet", async () => {
    const repository = await repositoryOf({ recoveryPoint: "p" });

    expect(await codeOf(capture(repository))).to.equal("ROLE_REFUSES");
    expect(await codeOf(dryRun(repository)), "a dry run").to.equal("ROLE_REFUSES");
    await new FailoverRecords(repository.stores.control, 1, "r", clock).end("open", now);
    expect(await codeOf(capture(repository))).to.equal("done");
  });

  it("a region into which something is being restored", async () => {
    const repository = await repositoryOf({});
    const record = { id: "x", recoveryPoint: "p", collections: ["c"], at: "2026-01-01T23:59:00.000Z" };
    await recordRestoreStart(repository.stores.control, record);

    expect(await codeOf(capture(repository))).to.equal("ROLE_REFUSES");
    expect(await codeOf(dryRun(repository)), "a dry run").to.equal("ROLE_REFUSES");
    await recordRestoreEnd(repository.stores.control, record, now);
    expect(await codeOf(capture(repository))).to.equal("done");
  });

  it("anything of a region that is not the active one", async () => {
    const repository = await repositoryOf({});
    await claimEpoch(repository.stores.control, {
      epoch: 2,
      active: "east",
      previous: "west",
      reason: "failover",
      run: "other",
      recoveryPoint: "p",
      at: "2026-01-01T13:00:00.000Z",
    });

    expect(await codeOf(capture(repository))).to.equal("ROLE_REFUSES");
    expect(await codeOf(dryRun(repository)), "a dry run").to.equal("ROLE_REFUSES");
  });

  it("anything of a Qdrant whose version is not supported", async () => {
    const repository = await repositoryOf({});
    const request = requestOf(repository, { ...emptyDatabase, version: async () => "1.9.0" });

    expect(await codeOf(captureRecoveryPoint(request))).to.equal("VERSION_UNSUPPORTED");
    expect(await codeOf(forecastCapture(request)), "a dry run").to.equal("VERSION_UNSUPPORTED");
  });
});
