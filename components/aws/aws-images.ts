import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

export interface AwsImagesArgs {
  readonly account: string;
  /** What the names of the repositories begin with, in both regions. */
  readonly prefix: string;
  /** The other AWS region, which gets a copy of what is pushed here. */
  readonly copiedTo: string;
  readonly tags: Readonly<Record<string, string>>;
}

const images = ["qdrant-dr", "qdrant"] as const;
export type ImageUrls = Readonly<Record<(typeof images)[number], string>>;

/**
 * Where a region's cluster finds its images, whatever became of the other region. What is pushed here is copied there, by the same digest;
 * deletes are not. A registry has one set of replication rules for each AWS region of the account: this is it.
 */
export class AwsImages extends pulumi.ComponentResource {
  /** What to push to, and what settings name with a digest. */
  readonly urls: pulumi.Output<ImageUrls>;

  constructor(name: string, args: AwsImagesArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:aws:AwsImages", name, args, opts);
    const { account, copiedTo, prefix, tags } = args;
    const child = { parent: this };
    const repositories = images.map((image) => {
      const { repositoryUrl } = new aws.ecr.Repository(
        `${name}-${image}`,
        {
          name: `${prefix}/${image}`,
          imageTagMutability: "IMMUTABLE",
          // What is pushed is looked at for known holes.
          imageScanningConfiguration: { scanOnPush: true },
          forceDelete: false,
          tags,
        },
        child,
      );
      return repositoryUrl;
    });
    new aws.ecr.ReplicationConfiguration(
      `${name}-replication`,
      {
        replicationConfiguration: {
          rules: [
            {
              destinations: [{ region: copiedTo, registryId: account }],
              repositoryFilters: [{ filter: `${prefix}/`, filterType: "PREFIX_MATCH" }],
            },
          ],
        },
      },
      child,
    );
    this.urls = pulumi.all(repositories).apply(urlsOf);
    this.registerOutputs({ urls: this.urls });
  }
}

function urlsOf(urls: readonly string[]): ImageUrls {
  return Object.fromEntries(images.map((image, index) => [image, urls[index]])) as ImageUrls;
}
