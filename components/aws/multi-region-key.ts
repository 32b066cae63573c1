import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { policyJson } from "./policy-document.ts";

export interface MultiRegionKeyArgs {
  readonly account: string;
  /** Who alone can end the key; see the settings. */
  readonly breakGlassArn: string;
  /** What it is called in both regions, without `alias/`. */
  readonly alias: string;
  readonly description: string;
  readonly tags: Readonly<Record<string, string>>;
  /** Where the key is made, and where its replica is: each decrypts what the other has encrypted. */
  readonly primary: aws.Provider;
  readonly replica: aws.Provider;
}

/** One KMS key in two regions: what was encrypted in a region that is lost is read in the other. Kept when destroyed. */
export class MultiRegionKey extends pulumi.ComponentResource {
  readonly primaryArn: pulumi.Output<string>;
  readonly replicaArn: pulumi.Output<string>;

  constructor(name: string, args: MultiRegionKeyArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:aws:MultiRegionKey", name, {}, pulumi.mergeOptions({ protect: true, retainOnDelete: true }, opts));
    const { account, alias, breakGlassArn, description, tags } = args;
    const policy = buildKeyPolicy(account, breakGlassArn);
    // Who makes the key is not who can end it: KMS takes such a policy only when it is told that this is meant.
    const bypassPolicyLockoutSafetyCheck = true;

    const key = new aws.kms.Key(
      `${name}-key`,
      {
        description,
        multiRegion: true,
        enableKeyRotation: true,
        deletionWindowInDays: 30,
        policy,
        bypassPolicyLockoutSafetyCheck,
        tags,
      },
      { parent: this, provider: args.primary },
    );
    new aws.kms.Alias(
      `${name}-alias`,
      { name: `alias/${alias}`, targetKeyId: key.keyId },
      { parent: this, provider: args.primary },
    );
    const replica = new aws.kms.ReplicaKey(
      `${name}-replica`,
      { description, primaryKeyArn: key.arn, deletionWindowInDays: 30, policy, bypassPolicyLockoutSafetyCheck, tags },
      { parent: this, provider: args.replica },
    );
    new aws.kms.Alias(
      `${name}-replica-alias`,
      { name: `alias/${alias}`, targetKeyId: replica.keyId },
      { parent: this, provider: args.replica },
    );

    this.primaryArn = key.arn;
    this.replicaArn = replica.arn;
    this.registerOutputs({ primaryArn: this.primaryArn, replicaArn: this.replicaArn });
  }
}

/**
 * Lets the account's policies of roles decide who may use the key; each of them names it. A key that is gone makes unreadable what no lock
 * lets anybody delete: so no administrator ends it, and nobody within less than 30 days.
 */
function buildKeyPolicy(account: string, breakGlassArn: string): string {
  const everybody = { Effect: "Deny", Principal: { AWS: "*" }, Resource: "*" } as const;
  return policyJson([
    {
      Sid: "RolesOfThisAccountAsTheirPoliciesSay",
      Effect: "Allow",
      Principal: { AWS: `arn:aws:iam::${account}:root` },
      Action: "kms:*",
      Resource: "*",
    },
    {
      Sid: "RefuseToEndIt",
      ...everybody,
      Action: ["kms:ScheduleKeyDeletion", "kms:DisableKey", "kms:PutKeyPolicy", "kms:DeleteImportedKeyMaterial"],
      Condition: { ArnNotEquals: { "aws:PrincipalArn": breakGlassArn } },
    },
    {
      Sid: "RefuseToEndItSoon",
      ...everybody,
      Action: "kms:ScheduleKeyDeletion",
      Condition: { NumericLessThan: { "kms:ScheduleKeyDeletionPendingWindowInDays": "30" } },
    },
  ]);
}
