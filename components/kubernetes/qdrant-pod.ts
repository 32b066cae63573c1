/** The pod of a Qdrant peer. */
import type * as k8s from "@pulumi/kubernetes";
import { qdrantPorts } from "../../runtime/domain/network/ports.ts";
import type { QdrantSettings } from "../../runtime/domain/settings/kubernetes-settings.ts";
import { labelsOf, qdrantName, selectorOf } from "./labels.ts";
import { restrictedPod } from "./restricted-pod.ts";

/** The user of Qdrant's unprivileged image. */
const qdrantUser = 1000;
const tlsFolder = "/qdrant/tls";

export interface QdrantPodArgs {
  readonly headlessName: string;
  readonly keysName: string;
  readonly settings: QdrantSettings;
}

export function qdrantPod({
  headlessName,
  keysName,
  settings,
}: QdrantPodArgs): k8s.types.input.core.v1.PodTemplateSpec {
  const { image, keyGeneration, resources, tlsSecret } = settings;
  const scheme = tlsSecret === undefined ? "http" : "https";
  const uriOf = (pod: string) => `${scheme}://${pod}.${headlessName}:${qdrantPorts.peers}`;
  const spec = restrictedPod(
    { user: qdrantUser },
    {
      // Long enough to write out what is in memory, and to answer the requests under way.
      terminationGracePeriodSeconds: 120,
      topologySpreadConstraints: [
        spread("kubernetes.io/hostname", "DoNotSchedule"),
        spread("topology.kubernetes.io/zone", "ScheduleAnyway"),
      ],
      containers: [
        {
          name: qdrantName,
          image,
          // Not by the image's script: as the first process it would end at once, and Qdrant with it, when the pod is stopped.
          command: ["./qdrant"],
          // A peer that is told to join itself is the first of a new cluster.
          args: ["--uri", uriOf("$(POD_NAME)"), "--bootstrap", uriOf(`${qdrantName}-0`)],
          env: [...environment(tlsSecret !== undefined), ...keys(keysName, keyGeneration)],
          ports: Object.entries(qdrantPorts).map(([port, containerPort]) => ({ name: port, containerPort })),
          resources: { requests: { ...resources }, limits: { memory: resources.memory } },
          // No liveness and no start-up probe: a peer that restores for hours must not be restarted.
          readinessProbe: {
            httpGet: { path: "/readyz", port: "http", scheme: scheme.toUpperCase() },
            periodSeconds: 5,
            timeoutSeconds: 3,
            failureThreshold: 6,
          },
          volumeMounts: [
            { name: "storage", mountPath: "/qdrant/storage" },
            { name: "snapshots", mountPath: "/qdrant/snapshots" },
            { name: "scratch", mountPath: "/qdrant/init" },
            ...(tlsSecret === undefined ? [] : [{ name: "tls", mountPath: tlsFolder, readOnly: true }]),
          ],
        },
      ],
      volumes: [
        { name: "scratch", emptyDir: {} },
        ...(tlsSecret === undefined ? [] : [{ name: "tls", secret: { secretName: tlsSecret } }]),
      ],
    },
  );
  return {
    // Qdrant reads its keys when it starts.
    metadata: { labels: labelsOf(qdrantName), annotations: { "qdrant-dr/key-generation": String(keyGeneration) } },
    spec,
  };
}

function environment(hasTls: boolean): k8s.types.input.core.v1.EnvVar[] {
  const values = {
    QDRANT__CLUSTER__ENABLED: "true",
    QDRANT__CLUSTER__P2P__PORT: String(qdrantPorts.peers),
    QDRANT__SERVICE__JWT_RBAC: "true",
    QDRANT__AUDIT__ENABLED: "true",
    QDRANT__TELEMETRY_DISABLED: "true",
    // From 1.18 on, a change of settings during a capture stops a server with one worker for good; two cores have one by default.
    QDRANT__SERVICE__MAX_WORKERS: "4",
    QDRANT_INIT_FILE_PATH: "/qdrant/init/.qdrant-initialized",
    ...(hasTls ? tlsValues : {}),
  };
  const podName = { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } };
  return [podName, ...Object.entries(values).map(([name, value]) => ({ name, value }))];
}

const tlsValues = {
  QDRANT__SERVICE__ENABLE_TLS: "true",
  QDRANT__CLUSTER__P2P__ENABLE_TLS: "true",
  QDRANT__TLS__CERT: `${tlsFolder}/tls.crt`,
  QDRANT__TLS__KEY: `${tlsFolder}/tls.key`,
  QDRANT__TLS__CA_CERT: `${tlsFolder}/ca.crt`,
};

function keys(secret: string, generation: number): k8s.types.input.core.v1.EnvVar[] {
  const from = (name: string, key: string) => ({ name, valueFrom: { secretKeyRef: { name: secret, key } } });
  const current = from("QDRANT__SERVICE__API_KEY", "current");
  return generation === 1 ? [current] : [current, from("QDRANT__SERVICE__ALT_API_KEY", "previous")];
}

function spread(topologyKey: string, whenUnsatisfiable: string) {
  return { maxSkew: 1, topologyKey, whenUnsatisfiable, labelSelector: { matchLabels: selectorOf(qdrantName) } };
}
