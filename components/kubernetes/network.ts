import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { type NetworkArgs, networkPolicies } from "./network-policies.ts";

/** The region's network policies. */
export class Network extends pulumi.ComponentResource {
  constructor(name: string, args: NetworkArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:index:Network", name, args, opts);
    for (const [what, object] of networkPolicies(args)) {
      new k8s.networking.v1.NetworkPolicy(`${name}-${what}`, object, { parent: this });
    }
    this.registerOutputs();
  }
}
