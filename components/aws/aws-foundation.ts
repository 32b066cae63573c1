import type * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import {
  type BootstrapRegion,
  type BootstrapSettings,
  bootstrapRegionsOf,
} from "../../runtime/domain/settings/aws-settings.ts";
import { roleArnOf } from "./aws-identities.ts";
import { AwsImages, type ImageUrls } from "./aws-images.ts";
import { AwsStores } from "./aws-stores.ts";
import { BucketReplication } from "./bucket-replication.ts";
import { MultiRegionKey } from "./multi-region-key.ts";

export interface AwsFoundationArgs {
  readonly settings: BootstrapSettings;
  /** One for each region, by its name. */
  readonly providers: Readonly<Record<string, aws.Provider>>;
}

/** Settings of a region's stack that follow from the foundation: `stores` and `aws`, and where the stack's state is kept. */
export interface FoundationOfRegion {
  readonly stores: Readonly<Record<"repository" | "control", { readonly bucket: string; readonly region: string }>>;
  readonly aws: {
    readonly account: string;
    readonly region: string;
    readonly keyArn: string;
    readonly peer: { readonly repository: string; readonly control: string; readonly keyArn: string };
  };
  readonly audit: string;
  /** `pulumi login` with this, `pulumi stack init --secrets-provider` with that. */
  readonly backend: string;
  readonly secretsProvider: string;
  /** Where its images are pushed to and pulled from; undefined when they are kept elsewhere. */
  readonly images: ImageUrls | undefined;
}

/** The parts of a region, once they are declared. */
interface RegionParts {
  /** The name of its stack, and its AWS region. */
  readonly name: string;
  readonly region: string;
  readonly provider: aws.Provider;
  readonly keyArn: pulumi.Output<string>;
  readonly stateKeyArn: pulumi.Output<string>;
  readonly stores: AwsStores;
  readonly images: AwsImages | undefined;
}

/** Two regions, of which the parts of the first are to be declared, and the keys that are there by then. */
interface RegionPlan extends Pick<RegionParts, "keyArn" | "stateKeyArn"> {
  readonly own: BootstrapRegion;
  readonly peer: BootstrapRegion;
}

/**
 * The keys and buckets of both regions, and the replication between them: they are there before the first `up` of a region
 * and outlive its last. The stacks of the regions name them and never change them, so that neither needs the other to come
 * up, nor to be promoted.
 */
export class AwsFoundation extends pulumi.ComponentResource {
  readonly regions: pulumi.Output<Record<string, FoundationOfRegion>>;
  readonly #name: string;
  readonly #args: AwsFoundationArgs;

  constructor(name: string, args: AwsFoundationArgs, opts?: pulumi.ComponentResourceOptions) {
    // A `destroy` is refused before it has begun to take something away.
    super("qdrant-dr:aws:AwsFoundation", name, {}, pulumi.mergeOptions({ protect: true }, opts));
    this.#name = name;
    this.#args = args;
    const { settings } = args;
    const { first, second } = bootstrapRegionsOf(settings);
    const dataKey = this.#key("data-key", "Recovery points, records and evidence of qdrant-dr", first, second);
    const stateKey = this.#key("state-key", "Pulumi state and secrets of qdrant-dr", first, second);
    const here = this.#region({
      own: first,
      peer: second,
      keyArn: dataKey.primaryArn,
      stateKeyArn: stateKey.primaryArn,
    });
    const there = this.#region({
      own: second,
      peer: first,
      keyArn: dataKey.replicaArn,
      stateKeyArn: stateKey.replicaArn,
    });
    this.#replicate(here, there);
    this.#replicate(there, here);

    this.regions = pulumi.output({
      [here.name]: outputsOf(settings, here, there),
      [there.name]: outputsOf(settings, there, here),
    });
    this.registerOutputs({ regions: this.regions });
  }

  #key(suffix: string, description: string, primary: BootstrapRegion, replica: BootstrapRegion): MultiRegionKey {
    const { account, breakGlassArn = `arn:aws:iam::${account}:root`, prefix, tags } = this.#args.settings;
    return new MultiRegionKey(
      `${this.#name}-${suffix}`,
      {
        account,
        breakGlassArn,
        alias: `${prefix}-${suffix}`,
        description,
        tags,
        primary: this.#providerOf(primary.name),
        replica: this.#providerOf(replica.name),
      },
      { parent: this },
    );
  }

  #region({ keyArn, own, peer, stateKeyArn }: RegionPlan): RegionParts {
    const { account, auditLockDays, lockMode, noncurrentDays, prefix, tags } = this.#args.settings;
    const provider = this.#providerOf(own.name);
    const stores = new AwsStores(
      `${this.#name}-${own.name}`,
      {
        prefix: `${prefix}-${own.name}`,
        keyArn,
        stateKeyArn,
        tags,
        auditLockDays,
        lockMode,
        noncurrentDays,
        longestLockDays: own.longestLockDays,
        pruners: {
          ofHistory: roleArnOf(account, own.name, "prune"),
          ofStream: roleArnOf(account, own.name, "prune-stream"),
        },
        replicaOfState: {
          prefix: statePrefixOf(peer.name),
          roleArn: `arn:aws:iam::${account}:role/${replicationRoleOf(prefix, peer.name, "state")}`,
        },
      },
      { parent: this, providers: [provider] },
    );
    const images = this.#images(own, peer);
    return { name: own.name, region: own.region, provider, keyArn, stateKeyArn, stores, images };
  }

  #images(own: BootstrapRegion, peer: BootstrapRegion): AwsImages | undefined {
    const { account, images, prefix, tags } = this.#args.settings;
    if (!images) return undefined;
    return new AwsImages(
      `${this.#name}-${own.name}-images`,
      { account, prefix, copiedTo: peer.region, tags },
      { parent: this, providers: [this.#providerOf(own.name)] },
    );
  }

  /**
   * The state always: it is what a lost region is rebuilt with. Of it the stacks alone, below the name of the region where they are in use: in the
   * other region's bucket nobody logs in there, so that who writes in one bucket changes no stack of the other region. What recovery points are made of only when asked: `copy` is the reference way,
   * and the only one for manifests. They are signed for the region where they are, and one from elsewhere would stand in the way for good.
   */
  #replicate(from: RegionParts, to: RegionParts): void {
    const { account, prefix, replication, tags } = this.#args.settings;
    const replicate = (kind: "state" | "repository", prefixes: readonly string[]) =>
      new BucketReplication(
        `${this.#name}-${from.name}-${kind}-replication`,
        {
          account,
          roleName: replicationRoleOf(prefix, from.name, kind),
          from: sideOf(prefix, from, kind),
          to: sideOf(prefix, to, kind),
          prefixes,
          tags,
        },
        { parent: this, providers: [from.provider] },
      );
    replicate(
      "state",
      ["stacks/", "meta.yaml"].map((part) => `${statePrefixOf(from.name)}.pulumi/${part}`),
    );
    if (replication) replicate("repository", [storeLayout.packs, storeLayout.trees, storeLayout.facts]);
  }

  #providerOf(region: string): aws.Provider {
    const provider = this.#args.providers[region];
    if (provider === undefined) throw new pulumi.ResourceError(`no provider for ${region}`, this);
    return provider;
  }
}

/** Where Pulumi keeps the state of what is brought up from a region. */
function statePrefixOf(region: string): string {
  return `${region}/`;
}

function replicationRoleOf(prefix: string, region: string, kind: "state" | "repository"): string {
  return `${prefix}-${region}-${kind}`;
}

function sideOf(
  prefix: string,
  { keyArn, name, region, stateKeyArn, stores }: RegionParts,
  kind: "state" | "repository",
) {
  return {
    bucket: `${prefix}-${name}-${kind}`,
    region,
    keyArn: kind === "state" ? stateKeyArn : keyArn,
    ready: stores[kind].bucket,
  };
}

function outputsOf({ account, prefix }: BootstrapSettings, own: RegionParts, peer: RegionParts) {
  return pulumi
    .all([
      own.keyArn,
      peer.keyArn,
      own.stores.repository.bucket,
      own.stores.control.bucket,
      own.stores.audit.bucket,
      own.stores.state.bucket,
      pulumi.output(own.images?.urls),
    ])
    .apply(([keyArn, peerKeyArn, repository, control, audit, state, images]): FoundationOfRegion => {
      const { region } = own;
      const ofPeer = `${prefix}-${peer.name}`;
      return {
        stores: { repository: { bucket: repository, region }, control: { bucket: control, region } },
        aws: {
          account,
          region,
          keyArn,
          peer: { repository: `${ofPeer}-repository`, control: `${ofPeer}-control`, keyArn: peerKeyArn },
        },
        audit,
        backend: `s3://${state}/${own.name}?region=${region}`,
        secretsProvider: `awskms://alias/${prefix}-state-key?region=${region}`,
        images,
      };
    });
}
