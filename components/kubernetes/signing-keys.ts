import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { type Job, jobs } from "../../runtime/domain/job-names.ts";
import type { StackTrust } from "../../runtime/domain/settings/stack-settings.ts";
import { publicKeyOf, signingKeyFrom } from "../../runtime/domain/trust/signing-key.ts";
import { joinTrust, type Trust } from "../../runtime/domain/trust/trust.ts";

export interface SigningKeysArgs {
  readonly region: string;
  readonly settings: StackTrust;
  /** What the other region believes, once its outputs are known here. */
  readonly peer: pulumi.Output<Trust | undefined>;
}

/** A key for each job to sign with, also for those that the region does not have yet: then the other one knows them in time. */
export class SigningKeys extends pulumi.ComponentResource {
  readonly ofJobs: pulumi.Output<Readonly<Record<Job, string>>>;
  /** Who is believed: operators, and the jobs of both regions. */
  readonly trust: pulumi.Output<Trust>;

  constructor(name: string, args: SigningKeysArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:index:SigningKeys", name, {}, opts);
    const { peer, region, settings } = args;
    const keepers = { generation: String(settings.keyGeneration) };
    const made = jobs.map((job) => {
      const { result } = new random.RandomPassword(
        `${name}-${job}`,
        { length: 48, special: false, keepers },
        { parent: this },
      );
      return [job, pulumi.secret(result.apply(signingKeyFrom))] as const;
    });
    this.ofJobs = pulumi.all(Object.fromEntries(made)) as pulumi.Output<Record<Job, string>>;
    this.trust = pulumi.all([this.ofJobs, peer]).apply(([keys, other]) => {
      const ofJobs = jobs.map((job) => ({ name: `${region}-${job}`, key: publicKeyOf(keys[job]), job, region }));
      return joinTrust({ id: settings.id, keys: [...settings.keys, ...ofJobs] }, other);
    });
    this.registerOutputs();
  }
}
