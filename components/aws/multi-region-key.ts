import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { policyJson } from "./policy-document.ts";

export interface MultiRegionKeyArgs {
  readonly account: string;
  /** What it is called in both regions, without `alias/`. */
  readonly alias: string;
  readonly description: string;
  readonly tags: Readonly<Record<string, string>>;
  /** Where the key is made, and where its replica is: each decrypts what the other has encrypted. */
  readonly providers: readonly [aws.Provider, aws.Provider];
}

/** One KMS key in two regions: what was encrypted in a region that is lost is read in the other. Kept when destroyed. */
export class MultiRegionKey extends pulumi.ComponentResource {
  /** The key's ARN in each region, in the order of the providers. */
  readonly arns: readonly [pulumi.Output<string>, pulumi.Output<string>];

  constructor(name: string, args: MultiRegionKeyArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:aws:MultiRegionKey", name, {}, pulumi.mergeOptions({ protect: true, retainOnDelete: true }, opts));
    const { account, alias, description, providers, tags } = args;
    const policy = keyPolicy(account);
    const [here, there] = providers;

    const key = new aws.kms.Key(
      `${name}-key`,
      { description, multiRegion: true, enableKeyRotation: true, deletionWindowInDays: 30, policy, tags },
      { parent: this, provider: here },
    );
    new aws.kms.Alias(
      `${name}-alias`,
      { name: `alias/${alias}`, targetKeyId: key.keyId },
      { parent: this, provider: here },
    );
    const replica = new aws.kms.ReplicaKey(
      `${name}-replica`,
      { description, primaryKeyArn: key.arn, deletionWindowInDays: 30, policy, tags },
      { parent: this, provider: there },
    );
    new aws.kms.Alias(
      `${name}-replica-alias`,
      { name: `alias/${alias}`, targetKeyId: replica.keyId },
      { parent: this, provider: there },
    );

    this.arns = [key.arn, replica.arn];
    this.registerOutputs({ arns: this.arns });
  }
}

/** Who may use the key is said by the policies of roles, each of which names it. */
function keyPolicy(account: string): string {
  return policyJson([
    {
      Sid: "RolesOfThisAccountAsTheirPoliciesSay",
      Effect: "Allow",
      Principal: { AWS: `arn:aws:iam::${account}:root` },
      Action: "kms:*",
      Resource: "*",
    },
  ]);
}
