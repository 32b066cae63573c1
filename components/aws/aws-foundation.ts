import type * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import type { BootstrapSettings } from "../../runtime/domain/settings/aws-settings.ts";
import { AwsImages, type ImageUrls } from "./aws-images.ts";
import { AwsStores } from "./aws-stores.ts";
import { BucketReplication } from "./bucket-replication.ts";
import { MultiRegionKey } from "./multi-region-key.ts";

export interface AwsFoundationArgs {
  readonly settings: BootstrapSettings;
  /** One for each region, by its name. */
  readonly providers: Readonly<Record<string, aws.Provider>>;
}

/** What a region's stack is told of the foundation: its settings `stores` and `aws`, and where its state is kept. */
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

interface RegionParts {
  readonly name: string;
  readonly region: string;
  readonly keyArn: pulumi.Output<string>;
  readonly stateKeyArn: pulumi.Output<string>;
  readonly stores: AwsStores;
  readonly images: AwsImages | undefined;
}

/**
 * What has to be there before the first `up` of a region, and what outlives its last: the keys and buckets of both
 * regions, and the replication between them. The stacks of the regions name it and never change it, so that neither
 * needs the other to come up, nor to be promoted.
 */
export class AwsFoundation extends pulumi.ComponentResource {
  readonly regions: pulumi.Output<Record<string, FoundationOfRegion>>;

  constructor(name: string, args: AwsFoundationArgs, opts?: pulumi.ComponentResourceOptions) {
    // A `destroy` is refused before it has begun to take something away.
    super("qdrant-dr:aws:AwsFoundation", name, {}, pulumi.mergeOptions({ protect: true }, opts));
    const { settings } = args;
    const { account, prefix, tags } = settings;
    const [here, there] = Object.keys(settings.regions) as [string, string];
    const providers = [providerOf(args, here), providerOf(args, there)] as const;
    const key = (what: string, description: string) =>
      new MultiRegionKey(
        `${name}-${what}`,
        { account, alias: `${prefix}-${what}`, description, tags, providers },
        { parent: this },
      );
    const dataKey = key("data-key", "Recovery points, records and evidence of qdrant-dr");
    const stateKey = key("state-key", "Pulumi state and secrets of qdrant-dr");
    const region = (index: 0 | 1): RegionParts => {
      const regionName = [here, there][index] as string;
      const keys = { keyArn: dataKey.arns[index], stateKeyArn: stateKey.arns[index] };
      const { region: awsRegion, repositoryLockDays } = settingsOf(settings, regionName);
      const { auditLockDays, lockMode, noncurrentDays } = settings;
      const buckets = { prefix: `${prefix}-${regionName}`, ...keys, tags };
      const stores = new AwsStores(
        `${name}-${regionName}`,
        { ...buckets, auditLockDays, lockMode, noncurrentDays, repositoryLockDays },
        { parent: this, providers: [providers[index]] },
      );
      const images = this.#images(name, settings, { region: regionName, provider: providers[index] });
      return { name: regionName, region: awsRegion, ...keys, stores, images };
    };
    const regions = [region(0), region(1)] as const;
    for (const [from, to] of [regions, regions.toReversed() as [RegionParts, RegionParts]]) {
      this.#replicate(name, settings, providerOf(args, from.name), from, to);
    }

    const told = regions.map((own, index) => outputsOf(settings, own, regions[1 - index] as RegionParts));
    this.regions = pulumi
      .all(told)
      .apply((parts) => Object.fromEntries(parts.map((part, index) => [[here, there][index] as string, part])));
    this.registerOutputs({ regions: this.regions });
  }

  #images(
    name: string,
    { account, images, prefix, regions, tags }: BootstrapSettings,
    { provider, region }: { readonly region: string; readonly provider: aws.Provider },
  ): AwsImages | undefined {
    if (!images) return undefined;
    const [copiedTo] = Object.entries(regions).flatMap(([other, settings]) =>
      other === region ? [] : settings.region,
    );
    if (copiedTo === undefined) throw new Error(`no other region than ${region}`);
    const args = { account, prefix, copiedTo, tags };
    return new AwsImages(`${name}-${region}-images`, args, { parent: this, providers: [provider] });
  }

  /** The state always: it is what a lost region is rebuilt with. Points only when asked: `copy` is the reference way. */
  #replicate(
    name: string,
    { account, prefix, replication, tags }: BootstrapSettings,
    provider: aws.Provider,
    from: RegionParts,
    to: RegionParts,
  ): void {
    const replicate = (kind: "state" | "repository", prefixes: readonly string[]) =>
      new BucketReplication(
        `${name}-${from.name}-${kind}-replication`,
        {
          account,
          roleName: `${prefix}-${from.name}-${kind}`,
          from: sideOf(prefix, from, kind),
          to: sideOf(prefix, to, kind),
          prefixes,
          deleteMarkers: kind === "state",
          tags,
        },
        { parent: this, providers: [provider] },
      );
    replicate("state", []);
    if (replication) replicate("repository", [storeLayout.packs, storeLayout.trees, storeLayout.recoveryPoints]);
  }
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
        backend: `s3://${state}?region=${region}`,
        secretsProvider: `awskms://alias/${prefix}-state-key?region=${region}`,
        images,
      };
    });
}

function providerOf({ providers }: AwsFoundationArgs, region: string): aws.Provider {
  const provider = providers[region];
  if (provider === undefined) throw new Error(`no provider for ${region}`);
  return provider;
}

function settingsOf({ regions }: BootstrapSettings, region: string) {
  const settings = regions[region];
  if (settings === undefined) throw new Error(`no settings of ${region}`);
  return settings;
}
