import * as pulumi from "@pulumi/pulumi";
import { longestExtension } from "../../runtime/domain/history/lock-end.ts";
import type { Pruners, ReplicaOf } from "./bucket-policy.ts";
import { StoreBucket } from "./store-bucket.ts";

export interface AwsStoresArgs {
  /** What the names of the buckets begin with. */
  readonly prefix: string;
  /** KMS keys in the buckets' region: for what the product stores, and for Pulumi's state. */
  readonly keyArn: pulumi.Input<string>;
  readonly stateKeyArn: pulumi.Input<string>;
  readonly lockMode: "compliance" | "governance";
  /** No recovery point is kept for longer. */
  readonly longestLockDays: number;
  readonly auditLockDays: number;
  readonly noncurrentDays: number;
  /** What comes of the other region's state. */
  /** Who deletes recovery points, and states of the stream. */
  readonly pruners: Pruners;
  readonly replicaOfState: ReplicaOf;
  readonly tags: Readonly<Record<string, string>>;
}

/** The buckets of a region: for recovery points, for records that decide, for evidence, and for the state of its stack. */
export class AwsStores extends pulumi.ComponentResource {
  /** Recovery points: each is locked as long as it is kept, and nothing in them is ever replaced. */
  readonly repository: StoreBucket;
  /** Epochs, failovers and wrapped keys: never replaced, but not locked, because a key may have to be destroyed. */
  readonly control: StoreBucket;
  /** Evidence. */
  readonly audit: StoreBucket;
  /** Pulumi's state, which is rewritten all the time: its versions are what can be gone back to. */
  readonly state: StoreBucket;

  constructor(name: string, args: AwsStoresArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:aws:AwsStores", name, {}, opts);
    const {
      auditLockDays,
      keyArn,
      lockMode: mode,
      noncurrentDays,
      prefix,
      pruners,
      replicaOfState,
      longestLockDays,
      stateKeyArn,
      tags,
    } = args;
    const common = { keyArn, noncurrentDays, tags };
    const child = { parent: this };

    this.repository = new StoreBucket(
      `${name}-repository`,
      {
        ...common,
        holds: "repository",
        bucket: `${prefix}-repository`,
        createOnly: true,
        lock: { mode, days: 1, allowed: { most: longestExtension(longestLockDays) } },
        pruners,
      },
      child,
    );
    this.control = new StoreBucket(
      `${name}-control`,
      { ...common, holds: "control", bucket: `${prefix}-control`, createOnly: true },
      child,
    );
    this.audit = new StoreBucket(
      `${name}-audit`,
      {
        ...common,
        holds: "audit",
        bucket: `${prefix}-audit`,
        createOnly: true,
        lock: { mode, days: auditLockDays, allowed: { least: auditLockDays, most: auditLockDays } },
      },
      child,
    );
    this.state = new StoreBucket(
      `${name}-state`,
      {
        ...common,
        holds: "state",
        bucket: `${prefix}-state`,
        keyArn: stateKeyArn,
        createOnly: false,
        replicaOf: replicaOfState,
      },
      child,
    );
    this.registerOutputs({
      repository: this.repository.bucket,
      control: this.control.bucket,
      audit: this.audit.bucket,
      state: this.state.bucket,
    });
  }
}
