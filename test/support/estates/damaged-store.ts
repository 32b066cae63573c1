/** A store that a test damages behind its back: a folder, or a bucket of a real S3 server. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeleteObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { openStore } from "../../../runtime/adapters/stores/open-store.ts";
import { s3ClientSettings } from "../../../runtime/adapters/stores/s3-store.ts";
import type { ObjectStore } from "../../../runtime/ports/object-store.ts";
import type { SeaweedServer } from "../servers/seaweedfs-server.ts";

export interface DamagedStore {
  readonly store: ObjectStore;
  replace(key: string, bytes: Buffer): Promise<void>;
  delete(key: string): Promise<void>;
  close(): void;
}

export function damagedFolder(): DamagedStore {
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-damaged-"));
  return {
    store: openStore({ kind: "file", folder }),
    async replace(key, bytes) {
      // A file with other names (hard links) would be damaged under these too.
      readFileSync(join(folder, key));
      rmSync(join(folder, key));
      writeFileSync(join(folder, key), bytes);
    },
    async delete(key) {
      rmSync(join(folder, key));
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export async function damagedBucket(server: SeaweedServer, name: string): Promise<DamagedStore> {
  const address = await server.bucket(name);
  const client = new S3Client(s3ClientSettings(address));
  return {
    store: openStore(address),
    async replace(Key, Body) {
      await client.send(new PutObjectCommand({ Bucket: name, Key, Body }));
    },
    async delete(Key) {
      await client.send(new DeleteObjectCommand({ Bucket: name, Key }));
    },
    close: () => client.destroy(),
  };
}
