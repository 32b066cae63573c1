import * as pulumi from "@pulumi/pulumi";

export interface RouteArgs {
  /** Control address of the public endpoint. */
  readonly controlUrl: pulumi.Input<string>;
  readonly controlToken: pulumi.Input<string>;
  /** The region that clients are led to. */
  readonly region: pulumi.Input<string>;
  /** The epoch in which it became active; the endpoint refuses an older one. */
  readonly epoch: pulumi.Input<number>;
}

/** The public endpoint leads to this region. */
export class Route extends pulumi.CustomResource {
  declare readonly isInForce: pulumi.Output<boolean>;

  constructor(name: string, args: RouteArgs, opts?: pulumi.CustomResourceOptions) {
    super("embedded:index:Route", name, { ...args, isInForce: undefined }, opts);
  }
}
