import * as pulumi from "@pulumi/pulumi";
import type { StoreAddress } from "../../runtime/domain/region.ts";

type BucketArgs = Extract<StoreAddress, { kind: "s3" }>;

/** A bucket with versions on a store that is not AWS's. Kept, with what it holds, when the stack is destroyed. */
export class Bucket extends pulumi.CustomResource {
  declare readonly isVersioned: pulumi.Output<boolean>;

  constructor(
    name: string,
    args: pulumi.Inputs & { [K in keyof BucketArgs]: pulumi.Input<BucketArgs[K]> },
    opts?: pulumi.CustomResourceOptions,
  ) {
    const merged = pulumi.mergeOptions({ retainOnDelete: true }, opts);
    super("embedded:index:Bucket", name, { ...args, isVersioned: undefined }, merged);
  }
}
