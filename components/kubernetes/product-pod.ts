/** Pods that run the product. */
import type * as k8s from "@pulumi/kubernetes";
import type { Job } from "../../runtime/domain/job-names.ts";
import { definitionOf, objectNameOf, reachesOf } from "../../runtime/domain/jobs.ts";
import { isRegionJob, type RegionJob } from "../../runtime/domain/region-for-job.ts";
import type { KubernetesSettings } from "../../runtime/domain/settings/kubernetes-settings.ts";
import type { KubernetesStackSettings } from "../../runtime/domain/settings/stack-settings.ts";
import { labelsOf, reachLabel } from "./labels.ts";
import type { RegionSecret } from "./region-secret.ts";
import { type PodUser, type RestrictedPodSpec, restrictedPod } from "./restricted-pod.ts";

type PodTemplate = k8s.types.input.core.v1.PodTemplateSpec;

/** The user of the product's image. */
export const productUser = 65_532;
const commandLine = "/app/qdrant-dr.mjs";
/** Here a pod finds the outputs of each region, as `<region>.json`. */
const regionsFolder = "/etc/qdrant-dr/regions";

/** What every pod of the product is declared from. */
export interface PodSettings extends Pick<KubernetesStackSettings, "infrastructure"> {
  readonly kubernetes: Pick<KubernetesSettings, "claims" | "image"> & {
    readonly qdrant: { readonly tlsSecret?: string | undefined };
  };
}

/** Arguments that all pods of the product share. */
export interface ProductPodBase<Settings extends PodSettings = KubernetesStackSettings> {
  readonly settings: Settings;
  /** The Secret of each job with the outputs of the regions. */
  readonly regionSecrets: Readonly<Partial<Record<RegionJob, RegionSecret>>>;
}

export interface ProductPodArgs extends Omit<ProductPodBase<PodSettings>, "regionSecrets"> {
  readonly job: Job;
  /** Left out for a program that is told of no region. */
  readonly regionSecrets?: ProductPodBase["regionSecrets"];
  /** Arguments of the command line, without those that name the regions' outputs; or another program of the image, without arguments. */
  readonly command: readonly string[] | { readonly program: string };
  /** @default none */
  readonly env?: k8s.types.input.core.v1.EnvVar[];
  readonly container?: Partial<k8s.types.input.core.v1.Container>;
  readonly pod?: Partial<RestrictedPodSpec>;
  /** Of the product's image when left out. */
  readonly runsAs?: PodUser | undefined;
}

export function productPod(args: ProductPodArgs): PodTemplate {
  const { command, env = [], job, regionSecrets = {}, settings } = args;
  const { claims, image, qdrant } = settings.kubernetes;
  const { tlsSecret } = qdrant;
  const { readsFolders, resources } = definitionOf(job);
  const reached = reachesOf(job, settings);
  const mounted = readsFolders ? claims : [];
  const regionsSecret = isRegionJob(job) ? regionSecrets[job] : undefined;
  const name = objectNameOf(job);
  const trusted = tlsSecret === undefined ? [] : [{ name: "NODE_EXTRA_CA_CERTS", value: "/etc/qdrant-dr/tls/ca.crt" }];
  const { volumeMounts = [], ...container } = args.container ?? {};
  const { volumes = [], ...pod } = args.pod ?? {};
  const groups = mounted.flatMap(({ group }) => (group === undefined ? [] : [group]));
  const spec = restrictedPod(args.runsAs ?? { user: productUser, otherGroups: [...new Set(groups)] }, {
    serviceAccountName: name,
    automountServiceAccountToken: reached.includes("kubernetes"),
    ...pod,
    containers: [
      {
        name: "qdrant-dr",
        image,
        args: "program" in command ? [command.program] : [commandLine, ...command, "--outputs", regionsFolder],
        env: [{ name: "HOME", value: "/tmp" }, ...trusted, ...env],
        resources: { requests: { ...resources }, limits: { memory: resources.memory } },
        ...container,
        volumeMounts: [
          ...(regionsSecret === undefined ? [] : [{ name: "regions", mountPath: regionsFolder, readOnly: true }]),
          { name: "scratch", mountPath: "/tmp" },
          ...(tlsSecret === undefined ? [] : [{ name: "tls", mountPath: "/etc/qdrant-dr/tls", readOnly: true }]),
          ...mounted.map(({ claim, path }) => ({ name: claim, mountPath: path, readOnly: true })),
          ...(volumeMounts as k8s.types.input.core.v1.VolumeMount[]),
        ],
      },
    ],
    volumes: [
      ...(regionsSecret === undefined
        ? []
        : [{ name: "regions", secret: { secretName: regionsSecret.name, defaultMode: 0o440 } }]),
      { name: "scratch", emptyDir: {} },
      ...(tlsSecret === undefined
        ? []
        : [{ name: "tls", secret: { secretName: tlsSecret, items: [{ key: "ca.crt", path: "ca.crt" }] } }]),
      ...mounted.map(({ claim }) => ({ name: claim, persistentVolumeClaim: { claimName: claim, readOnly: true } })),
      ...(volumes as k8s.types.input.core.v1.Volume[]),
    ],
  });
  const labels = Object.assign({}, labelsOf(name), ...reached.map(reachLabel));
  // The product reads its regions once, when it starts.
  const annotations = regionsSecret && { "qdrant-dr/regions": regionsSecret.digest };
  return { metadata: { labels, ...(annotations && { annotations }) }, spec };
}
