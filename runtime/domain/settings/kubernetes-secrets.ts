/** The secrets of a region in a cluster, and what contradicts its settings in them. */
import { z } from "zod";
import { headerKeySchema } from "../header-key.ts";
import { jobs } from "../job-names.ts";
import { jobsOf } from "../jobs.ts";
import { hostsOutside } from "../network/reachable.ts";
import { peerRegionSchema } from "../region-for-peer.ts";
import { addressOf } from "../server-address.ts";
import {
  identitySchema,
  type KubernetesStackSettings,
  parseSecrets,
  storeCredentialsSchema,
} from "./stack-settings.ts";

export const kubernetesSecretsSchema = z.strictObject({
  identity: identitySchema,
  /** What clients show to the gate: the same in both regions. */
  clientKey: headerKeySchema.min(16),
  /** As the client key, to read only. */
  readOnlyKey: headerKeySchema.min(16).optional(),
  /** What administrators show to the gate, for all that Qdrant has. */
  administratorKey: headerKeySchema.min(16).optional(),
  /** Of a Qdrant that is not this stack's; its own one makes its key. */
  qdrantApiKey: headerKeySchema.min(1).optional(),
  /** What the other region captures from this Qdrant with, so that it can be taken back by itself; the Qdrant's own key when left out. */
  qdrantPeerKey: headerKeySchema.min(1).optional(),
  /** Of stores that are not AWS's; there a role gives access. */
  store: z
    .strictObject({
      /** Of jobs that create objects. */
      write: storeCredentialsSchema,
      /** Of jobs that only read, and of the other region. */
      read: storeCredentialsSchema,
      /** Of single jobs instead, each with the rights that the job needs. */
      jobs: z.partialRecord(z.enum(jobs), storeCredentialsSchema).optional(),
      /** What `replicate-folders` creates recovery points in the other region's stores with. */
      peerWrite: storeCredentialsSchema.optional(),
    })
    .refine(({ read, write }) => read.accessKeyId !== write.accessKeyId, {
      path: ["read"],
      message: "another key than `write`, which may read and nothing else: the other region gets it",
    })
    .optional(),
  /** The `peer` output of the other stack. Left out until that stack is up: nothing leads from one to the other then. */
  peer: peerRegionSchema.optional(),
});
export type KubernetesSecrets = z.infer<typeof kubernetesSecretsSchema>;

/** @throws SETTING_INVALID naming every secret that is wrong, and showing none. */
export function parseKubernetesSecrets(settings: KubernetesStackSettings, given: unknown): KubernetesSecrets {
  return parseSecrets(settings.region, kubernetesSecretsSchema.superRefine(agreesWith(settings)), given);
}

function agreesWith(settings: KubernetesStackSettings) {
  return ({ peer, qdrantApiKey, store }: KubernetesSecrets, { addIssue }: z.RefinementCtx) => {
    const refuse = (path: string[], message: string) => addIssue({ code: "custom", path, message });
    if (settings.store === "s3" && store === undefined) refuse(["store"], "credentials of the store are wanted");
    if (settings.store === "aws" && store !== undefined) refuse(["store"], "a role gives access to AWS, and no key");
    const { existing } = settings.kubernetes.qdrant;
    if (existing !== undefined && qdrantApiKey === undefined) {
      refuse(["qdrantApiKey"], "the key of kubernetes.qdrant.existing is wanted");
    }
    if (existing === undefined && qdrantApiKey !== undefined)
      refuse(["qdrantApiKey"], "this stack makes the key itself");
    if (peer === undefined) return;
    if (peer.trust.id !== settings.trust.id)
      refuse(["peer", "trust", "id"], "the id of this stack's setting trust is wanted");
    if (peer.region !== settings.peer)
      refuse(["peer", "region"], `the outputs of the stack ${settings.peer} are wanted`);
    if (peer.madeFor !== settings.region) refuse(["peer", "madeFor"], `it is made for ${peer.madeFor}`);
    if (store !== undefined && store.peerWrite === undefined && jobsOf(settings, true).includes("replicate-folders")) {
      refuse(
        ["store", "peerWrite"],
        `what creates recovery points of folders in the stores of ${settings.peer} is wanted, or kubernetes.replicate.folders off`,
      );
    }
    const { egressCidrs, replicate } = settings.kubernetes;
    const outside = hostsOutside(replicate === undefined ? [] : peer.qdrant.peers, egressCidrs);
    if (outside.length > 0) {
      refuse(
        ["peer", "qdrant", "peers"],
        `no pod may go to ${outside.join(", ")}: kubernetes.egressCidrs is ${egressCidrs.join(", ")}`,
      );
    }
    if (replicate !== undefined && peer.qdrant.peers.some(isInsideOnly)) {
      refuse(
        ["peer", "qdrant", "peers"],
        `only its own cluster reaches the Qdrant of ${settings.peer}: let kubernetes.qdrant.outside of that stack say how this region does, or leave kubernetes.replicate out`,
      );
    }
  };
}

function isInsideOnly(url: string): boolean {
  return addressOf(url).host.endsWith(".svc");
}
