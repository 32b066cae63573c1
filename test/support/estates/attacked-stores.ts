/**
 * Stores as somebody sees them who has their credentials, and neither an identity nor a signing key that is trusted: in a folder, in a bucket
 * of a real S3 server, and in a bucket with versions.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { PutBucketVersioningCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { openStore } from "../../../runtime/adapters/stores/open-store.ts";
import { s3ClientSettings } from "../../../runtime/adapters/stores/s3-store.ts";
import type { SignedStoreKind } from "../../../runtime/domain/recovery-points/store-layout.ts";
import type { StoreAddress } from "../../../runtime/domain/region.ts";
import type { ObjectStore } from "../../../runtime/ports/object-store.ts";
import { SeaweedServer } from "../servers/seaweedfs-server.ts";

export interface AttackedStore {
  readonly address: StoreAddress;
  /** As whoever has its credentials sees it. */
  readonly raw: ObjectStore;
  /** Replaces what is there, as no create of ours would. */
  readonly replace: (key: string, bytes: Buffer) => Promise<void>;
}

export interface AttackedPlace {
  /** Makes another store. */
  open(kind: SignedStoreKind): Promise<AttackedStore>;
  /** What was replaced is found among versions. */
  readonly keepsReplaced: boolean;
  /** Credentials that read alone; undefined where a store has no credentials. */
  reader(): SeaweedServer["credentials"] | undefined;
}

/** Describes the same attacks in each kind of place. */
export function describeInStores(
  what: string,
  describeAttacks: (place: AttackedPlace) => void,
  { withVersions = true } = {},
): void {
  describe(`${what}: stores in folders`, () => {
    const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-attacks-"));
    after(() => rmSync(folder, { recursive: true, force: true }));

    describeAttacks({
      keepsReplaced: false,
      reader: () => undefined,
      open: async (kind) => {
        const place = mkdtempSync(join(folder, `${kind}-`));
        const address = { kind: "file", folder: place } as const;
        return {
          address,
          raw: openStore(address),
          replace: async (key, bytes) => {
            mkdirSync(dirname(join(place, key)), { recursive: true });
            writeFileSync(join(place, key), bytes);
          },
        };
      },
    });
  });

  describe(`${what}: buckets`, function () {
    this.timeout(60_000);
    let server: SeaweedServer;
    let buckets = 0;
    before(async () => {
      server = await SeaweedServer.start();
    });
    after(() => server?.stop());

    async function openBucket(kind: SignedStoreKind, hasVersions: boolean): Promise<AttackedStore> {
      buckets += 1;
      const address = await server.bucket(`${kind}-${buckets}`);
      const client = new S3Client(s3ClientSettings(address));
      const Bucket = address.bucket;
      if (hasVersions) {
        const VersioningConfiguration = { Status: "Enabled" } as const;
        await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
      }
      return {
        address,
        raw: openStore(address),
        replace: async (Key, Body) => void (await client.send(new PutObjectCommand({ Bucket, Key, Body }))),
      };
    }

    for (const keepsReplaced of withVersions ? [false, true] : [false]) {
      describe(keepsReplaced ? "that keep versions" : "that keep no versions", () => {
        const open = (kind: SignedStoreKind) => openBucket(kind, keepsReplaced);
        describeAttacks({ open, keepsReplaced, reader: () => server.addReader() });
      });
    }
  });
}
