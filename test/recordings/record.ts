/**
 * Makes the recorded repository anew, as a change of the format needs it: `npm run record`. Its
 * keys are for tests alone, and stand beside it.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { AgeKeyWrap } from "../../runtime/adapters/age-key-wrap.ts";
import { FileStore } from "../../runtime/adapters/stores/file-store.ts";
import type { SignedStoreKind } from "../../runtime/domain/recovery-points/store-layout.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import { firstEpoch, silently, systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf, contentOf, databaseOf } from "../support/estates/recovery-practice.ts";
import { signed, trust } from "../support/estates/test-trust.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const folder = fileURLToPath(new URL("repository-1", import.meta.url));
const server = await QdrantServer.start();
try {
  rmSync(folder, { recursive: true, force: true });
  const store = (kind: SignedStoreKind & ("repository" | "control")) => {
    mkdirSync(join(folder, kind), { recursive: true });
    return signed(new FileStore(join(folder, kind)), firstEpoch.active, kind);
  };
  const stores = { repository: store("repository"), control: store("control") };
  await claimEpoch(stores.control, firstEpoch);
  const identity = await generateIdentity();
  const wrap = new AgeKeyWrap({ recipients: [await identityToRecipient(identity)], identity });
  const repository = await OpenRepository.openOrCreate(stores, wrap);
  const client = clientOf(server);
  await client.createCollection("notes", {
    vectors: { size: 4, distance: "Euclid" },
    sparse_vectors: { words: {} },
    shard_number: 2,
    wal_config: { wal_capacity_mb: 1 },
    optimizers_config: { default_segment_number: 1 },
  });
  const write = (from: number, to: number, tag: string) =>
    client.upsert("notes", {
      wait: true,
      points: Array.from({ length: to - from }, (_, n) => ({
        id: from + n,
        vector: { "": [from + n, 1, 2, 3], words: { indices: [n % 5], values: [1.5] } },
        payload: { tag, text: `note ${from + n}` },
      })),
    });
  const database = databaseOf(server);
  const contents: Record<string, unknown> = {};
  for (const [type, from, to] of [
    ["full", 1, 41],
    ["incremental", 21, 61],
  ] as const) {
    await write(from, to, type);
    const told = { clock: systemClock, progress: silently, toolVersion: "recorded" };
    const { recoveryPoint } = await captureRecoveryPoint({
      region: firstEpoch.active,
      type,
      database,
      repository,
      ...told,
    });
    contents[recoveryPoint] = await contentOf(database, "notes");
  }
  const note = "Keys of a test: nothing but the recorded repository beside this is sealed or signed with them.";
  const access = {
    note,
    region: firstEpoch.active,
    identity,
    trust: { id: trust.id, keys: trust.keys.map(({ key }) => key) },
    contents,
  };
  writeFileSync(join(folder, "test-keys-and-contents.json"), `${JSON.stringify(access)}\n`);
} finally {
  await server.stop();
}
