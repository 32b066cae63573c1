import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { jobTable, objectNameOf } from "../../runtime/domain/jobs.ts";
import type { EpochRecord } from "../../runtime/domain/roles/epoch.ts";
import { foldersByKind } from "../../runtime/domain/settings/folder-selection.ts";
import type { KubernetesSettings } from "../../runtime/domain/settings/kubernetes-settings.ts";
import { isWithin } from "../../runtime/domain/settings/primitives.ts";
import type { KubernetesStackSettings } from "../../runtime/domain/settings/stack-settings.ts";
import { labelsOf } from "./labels.ts";
import { type ProductPodBase, productPod, productUser } from "./product-pod.ts";

export interface FolderRestoresArgs extends ProductPodBase {
  readonly namespace: pulumi.Input<string>;
  /** The failover that promoted the region. */
  readonly epoch: EpochRecord;
}

type Claim = KubernetesSettings["claims"][number];

const job = "restore-folders";
/** What the engine waits for: the whole of a large folder. */
const withinHours = 8;

/**
 * Brings the lost region's folders into the claims of a region that a failover promoted: a Job for each claim, as the user whose files they
 * are. The engine waits for it, so that a promotion that ended well has the whole service; clients search meanwhile.
 */
export class FolderRestores extends pulumi.ComponentResource {
  constructor(name: string, args: FolderRestoresArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:index:FolderRestores", name, {}, opts);
    for (const claim of args.settings.kubernetes.claims) {
      const folders = foldersIn(claim, args.settings);
      if (folders.length === 0) continue;
      new k8s.batch.v1.Job(`${name}-${claim.claim}`, restoreJob(args, claim, folders), {
        parent: this,
        customTimeouts: { create: `${withinHours}h` },
      });
    }
    this.registerOutputs();
  }
}

/** Configuration first. */
function foldersIn({ path }: Claim, settings: KubernetesStackSettings): string[] {
  return foldersByKind(settings).flatMap(({ selection }) => (isWithin(selection.path, path) ? [selection.name] : []));
}

function restoreJob(
  { epoch, namespace, regionSecrets, settings }: FolderRestoresArgs,
  { claim, group, path, user = productUser }: Claim,
  folders: readonly string[],
): k8s.batch.v1.JobArgs {
  const labels = labelsOf(objectNameOf(job));
  return {
    // Of this failover: a later one has Jobs of its own, and this one is never run again.
    metadata: { name: `${objectNameOf(job)}-${claim}-${epoch.epoch}`, namespace, labels },
    spec: {
      backoffLimit: 4,
      activeDeadlineSeconds: withinHours * 3600,
      template: productPod({
        settings,
        regionSecrets,
        job,
        runsAs: { user, group },
        command: jobTable[job].runs.command(settings, folders),
        container: { volumeMounts: [{ name: claim, mountPath: path }] },
        pod: {
          restartPolicy: "Never",
          terminationGracePeriodSeconds: 60,
          volumes: [{ name: claim, persistentVolumeClaim: { claimName: claim } }],
        },
      }),
    },
  };
}
