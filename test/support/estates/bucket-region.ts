/**
 * A region whose stores are buckets of a real S3 server, reached either cleanly or through a proxy that injects faults.
 * `rewind` puts both buckets back to an earlier state, so that many runs begin alike.
 */
import { DeleteObjectsCommand, S3Client } from "@aws-sdk/client-s3";
import { openStore } from "../../../runtime/adapters/stores/open-store.ts";
import { s3ClientSettings } from "../../../runtime/adapters/stores/s3-store.ts";
import { controlLayout } from "../../../runtime/domain/recovery-points/store-layout.ts";
import type { StoreAddress } from "../../../runtime/domain/region.ts";
import type { KeyWrap } from "../../../runtime/ports/key-wrap.ts";
import type { ObjectStore } from "../../../runtime/ports/object-store.ts";
import { OpenRepository, type RegionStores } from "../../../runtime/repository/repository.ts";
import { allOf } from "../all-of.ts";
import { MemoryStore } from "../servers/memory-store.ts";
import type { SeaweedServer } from "../servers/seaweedfs-server.ts";
import { firstEpoch } from "./recovery-estate.ts";
import { signed } from "./test-trust.ts";

type S3Address = Extract<StoreAddress, { kind: "s3" }>;
type Objects = ReadonlyMap<string, Buffer>;

/** Every object of both stores. */
export interface BucketState {
  readonly repository: Objects;
  readonly control: Objects;
}

const isNamedByContent = /^(packs|trees)\//;

/** Short, so that a server that never answers costs a test no minutes. */
const idleMs = 400;

export class BucketRegion {
  readonly addresses: { readonly repository: S3Address; readonly control: S3Address };
  /** The stores over a connection without faults. */
  readonly stores: RegionStores;

  readonly #name: string;
  /** As whoever has their credentials sees them. */
  readonly #raw: RegionStores;

  private constructor(name: string, addresses: BucketRegion["addresses"]) {
    this.#name = name;
    this.addresses = addresses;
    this.#raw = { repository: openStore(addresses.repository), control: openStore(addresses.control) };
    this.stores = this.#signed(this.#raw);
  }

  /** New buckets, and the first epoch: `east` is active. */
  static async make(server: SeaweedServer, name: string): Promise<BucketRegion> {
    const [repository, control] = [await server.bucket(`${name}-points`), await server.bucket(`${name}-control`)];
    const region = new BucketRegion(name, { repository, control });
    await region.stores.control.create(controlLayout.epoch(1), Buffer.from(JSON.stringify(firstEpoch)));
    return region;
  }

  /** The same stores by way of `endpoint`. */
  through(endpoint: string): RegionStores {
    const { control, repository } = this.addresses;
    return this.#signed({
      repository: openStore({ ...repository, endpoint }, { idleMs }),
      control: openStore({ ...control, endpoint }, { idleMs }),
    });
  }

  #signed({ control, repository }: RegionStores): RegionStores {
    return {
      repository: signed(repository, this.#name, "repository"),
      control: signed(control, this.#name, "control"),
    };
  }

  /** As another region sees it that leaves its own records: restores from it change nothing here. */
  async seenElsewhere(wrap: KeyWrap): Promise<OpenRepository> {
    const control = new MemoryStore();
    for (const [key, bytes] of await objectsOf(this.#raw.control)) control.objects.set(key, bytes);
    return OpenRepository.open(
      { repository: this.stores.repository, control: signed(control, this.#name, "control") },
      wrap,
    );
  }

  async state(): Promise<BucketState> {
    return {
      repository: await objectsOf(this.#raw.repository),
      control: await objectsOf(this.#raw.control),
    };
  }

  async rewind(state: BucketState): Promise<void> {
    await rewindStore(this.#raw.repository, this.addresses.repository, state.repository);
    await rewindStore(this.#raw.control, this.addresses.control, state.control);
  }
}

async function objectsOf(store: ObjectStore): Promise<Map<string, Buffer>> {
  const objects = new Map<string, Buffer>();
  for (const { key } of await allOf(store.list(""))) objects.set(key, await store.get(key));
  return objects;
}

async function rewindStore(store: ObjectStore, address: S3Address, wanted: Objects): Promise<void> {
  const present = new Set<string>();
  const wrong: { Key: string }[] = [];
  for (const { key, size } of await allOf(store.list(""))) {
    const bytes = wanted.get(key);
    if (bytes?.length === size && (isNamedByContent.test(key) || bytes.equals(await store.get(key)))) present.add(key);
    else wrong.push({ Key: key });
  }
  if (wrong.length > 0) {
    const client = new S3Client(s3ClientSettings(address));
    await client.send(new DeleteObjectsCommand({ Bucket: address.bucket, Delete: { Objects: wrong } }));
    client.destroy();
  }
  for (const [key, bytes] of wanted) if (!present.has(key)) await store.create(key, bytes);
}
