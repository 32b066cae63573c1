import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { ClusterSettings } from "../../runtime/domain/infrastructure/infrastructure.ts";
import type { Job } from "../../runtime/domain/job-names.ts";
import { objectNameOf } from "../../runtime/domain/jobs.ts";
import { labelsOf } from "./labels.ts";
import { readRules } from "./read-rules.ts";
import { serviceAccount } from "./service-account.ts";

export interface AccountsArgs {
  readonly namespace: pulumi.Input<string>;
  readonly jobs: readonly Job[];
  /**
   * What gives each job's account its rights in the cloud.
   * @default none
   */
  readonly annotations?: pulumi.Input<Readonly<Partial<Record<Job, Readonly<Record<string, string>>>>>> | undefined;
  /**
   * Objects that captures read.
   * @default none
   */
  readonly captured?: ClusterSettings | undefined;
}

/** A ServiceAccount for each job. Only captures may read in the cluster, and only what recovery points hold. */
export class Accounts extends pulumi.ComponentResource {
  constructor(name: string, args: AccountsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:index:Accounts", name, args, opts);
    const { annotations, captured, jobs, namespace } = args;
    for (const job of jobs) {
      const given = pulumi.output(annotations).apply((all) => all?.[job] ?? {});
      new k8s.core.v1.ServiceAccount(`${name}-${job}`, serviceAccount(job, namespace, given), { parent: this });
    }
    if (captured !== undefined) this.#letCapturesRead(name, args, captured);
    this.registerOutputs();
  }

  #letCapturesRead(name: string, { namespace }: AccountsArgs, { kinds, namespaces }: ClusterSettings): void {
    const account = objectNameOf("capture");
    const child = { parent: this };
    const subjects = [{ kind: "ServiceAccount", name: account, namespace }];
    // Names of what belongs to no namespace: two regions may share a cluster.
    const nameFor = (what: string) => pulumi.interpolate`${account}-${namespace}-${what}`;
    const roleRef = (role: pulumi.Input<string>) => ({
      apiGroup: "rbac.authorization.k8s.io",
      kind: "ClusterRole",
      name: role,
    });
    const namespaced = readRules(kinds, "Namespaced");
    if (namespaced.length > 0) {
      const role = new k8s.rbac.v1.ClusterRole(
        `${name}-captured`,
        { metadata: { name: nameFor("objects"), labels: labelsOf(account) }, rules: namespaced },
        child,
      );
      for (const captured of namespaces) {
        new k8s.rbac.v1.RoleBinding(
          `${name}-captured-${captured}`,
          {
            metadata: { name: nameFor("objects"), namespace: captured, labels: labelsOf(account) },
            roleRef: roleRef(role.metadata.name),
            subjects,
          },
          child,
        );
      }
    }
    const ofCluster = readRules(kinds, "Cluster");
    if (ofCluster.length === 0) return;
    const role = new k8s.rbac.v1.ClusterRole(
      `${name}-captured-cluster`,
      { metadata: { name: nameFor("cluster"), labels: labelsOf(account) }, rules: ofCluster },
      child,
    );
    new k8s.rbac.v1.ClusterRoleBinding(
      `${name}-captured-cluster`,
      {
        metadata: { name: nameFor("cluster"), labels: labelsOf(account) },
        roleRef: roleRef(role.metadata.name),
        subjects,
      },
      child,
    );
  }
}
