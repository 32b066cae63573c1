import { expect } from "chai";
import { restoreFingerprintIn } from "../../runtime/adapters/qdrant/restore-fingerprint.ts";

function telemetry(responses: { rest?: object; grpc?: object } = {}, recovering = 0) {
  return {
    app: { startup: "2026-01-01T00:00:00.000Z" },
    collections: { snapshots: [{ id: "notes", running_snapshot_recovery: recovering }] },
    requests: { rest: { responses: responses.rest ?? {} }, grpc: { responses: responses.grpc ?? {} } },
  };
}

const upload = "POST /collections/{collection}/shards/{shard}/snapshots/upload";

describe("history of a Qdrant process", () => {
  it("counts what clients and peers restored, whatever became of it", () => {
    const rest = { [upload]: { 200: { count: 2 }, 500: { count: 1 } } };
    const grpc = { "/qdrant.ShardSnapshots/Recover": { count: 4, last_responded: "2026-01-01T00:00:01.000Z" } };
    const byStatus = { "/qdrant.ShardSnapshots/Recover": { 0: { count: 3 }, 13: { count: 1 } } };

    expect(restoreFingerprintIn(telemetry())).to.equal("2026-01-01T00:00:00.000Z/0");
    expect(restoreFingerprintIn(telemetry({ rest }))).to.equal("2026-01-01T00:00:00.000Z/3");
    expect(restoreFingerprintIn(telemetry({ rest, grpc }))).to.equal("2026-01-01T00:00:00.000Z/7");
    expect(restoreFingerprintIn(telemetry({ rest, grpc: byStatus }))).to.equal("2026-01-01T00:00:00.000Z/7");
  });

  it("does not count what only reads or writes", () => {
    const rest = {
      "GET /collections/{collection}/shards/{shard}/snapshot": { 200: { count: 1 } },
      "POST /collections/{collection}/shards/{shard}/snapshot/partial/create": { 200: { count: 1 } },
      "POST /collections/{name}/snapshots": { 200: { count: 1 } },
      "PUT /collections/{name}/points": { 200: { count: 1 } },
    };
    const grpc = { "/qdrant.CollectionsInternal/GetShardRecoveryPoint": { count: 1 } };

    expect(restoreFingerprintIn(telemetry({ rest, grpc }))).to.equal(restoreFingerprintIn(telemetry()));
  });

  it("is never the same during a restore, after one in the background, and when the process does not tell", () => {
    const background = telemetry({ rest: { [upload]: { 202: { count: 1 } } } });

    for (const answer of [telemetry({}, 1), background, {}, { ...telemetry(), requests: undefined }]) {
      expect(restoreFingerprintIn(answer)).not.to.equal(restoreFingerprintIn(answer));
    }
  });
});
