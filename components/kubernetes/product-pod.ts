/** Pods that run the product. */
import type * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import { type Job, objectNameOf } from "../../runtime/domain/jobs.ts";
import type { KubernetesPart, Resources } from "../../runtime/domain/settings/kubernetes-settings.ts";
import { labelsOf } from "./labels.ts";
import { type RestrictedPodSpec, restrictedPod } from "./restricted-pod.ts";

type PodTemplate = k8s.types.input.core.v1.PodTemplateSpec;

/** The user of the product's image. */
const productUser = 65_532;
const commandLine = "/app/qdrant-dr.mjs";
/** Here a pod finds the outputs of each region, as `<region>.json`. */
const regionsFolder = "/etc/qdrant-dr/regions";

/** What every pod of the product shares. */
export interface ProductPodBase {
  readonly image: string;
  /**
   * Secrets with what each job is told of the regions.
   * @default none
   */
  readonly regionSecrets?: Readonly<Partial<Record<Job, pulumi.Input<string>>>>;
  /** A Secret whose ca.crt the product trusts too. */
  readonly tlsSecret?: string | undefined;
}

export interface ProductPodArgs extends ProductPodBase {
  readonly job: Job;
  /** Of the command line, without what says where the regions' outputs are; or another program of the image, which is given nothing. */
  readonly command: readonly string[] | { readonly program: string };
  readonly resources: Resources;
  /** What the pod may reach: labels. */
  readonly reaches: readonly Readonly<Record<string, string>>[];
  /** @default none */
  readonly env?: k8s.types.input.core.v1.EnvVar[];
  /** Whether it asks the cluster's API with its account. */
  readonly usesKubernetes?: boolean;
  /**
   * Volumes with folders that it reads, and where it sees them.
   * @default none
   */
  readonly claims?: KubernetesPart["claims"];
  readonly container?: Partial<k8s.types.input.core.v1.Container>;
  readonly pod?: Partial<RestrictedPodSpec>;
}

export function productPod(args: ProductPodArgs): PodTemplate {
  const { claims = [], command, env = [], image, job, regionSecrets = {}, resources, tlsSecret } = args;
  const regionsSecret = regionSecrets[job];
  const name = objectNameOf(job);
  const trusted = tlsSecret === undefined ? [] : [{ name: "NODE_EXTRA_CA_CERTS", value: "/etc/qdrant-dr/tls/ca.crt" }];
  const { volumeMounts = [], ...container } = args.container ?? {};
  const { volumes = [], ...pod } = args.pod ?? {};
  const spec = restrictedPod(productUser, {
    serviceAccountName: name,
    automountServiceAccountToken: args.usesKubernetes ?? false,
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
          ...claims.map(({ claim, path }) => ({ name: claim, mountPath: path, readOnly: true })),
          ...(volumeMounts as k8s.types.input.core.v1.VolumeMount[]),
        ],
      },
    ],
    volumes: [
      ...(regionsSecret === undefined
        ? []
        : [{ name: "regions", secret: { secretName: regionsSecret, defaultMode: 0o440 } }]),
      { name: "scratch", emptyDir: {} },
      ...(tlsSecret === undefined
        ? []
        : [{ name: "tls", secret: { secretName: tlsSecret, items: [{ key: "ca.crt", path: "ca.crt" }] } }]),
      ...claims.map(({ claim }) => ({ name: claim, persistentVolumeClaim: { claimName: claim, readOnly: true } })),
      ...(volumes as k8s.types.input.core.v1.Volume[]),
    ],
  });
  return { metadata: { labels: Object.assign({}, labelsOf(name), ...args.reaches) }, spec };
}
