/** A Qdrant that lives in a job's pod alone: a test restore goes into it, and it goes with the job. */
import type * as k8s from "@pulumi/kubernetes";
import { qdrantPorts } from "../../runtime/domain/network/ports.ts";
import type { QdrantSettings } from "../../runtime/domain/settings/kubernetes-settings.ts";
import type { RestrictedPodSpec } from "./restricted-pod.ts";

export type ThrowawaySettings = Pick<QdrantSettings, "image" | "resources" | "storageClass" | "storageGib">;

export function throwawayQdrant({
  image,
  resources,
  storageClass,
  storageGib,
}: ThrowawaySettings): Partial<RestrictedPodSpec> {
  const volume: k8s.types.input.core.v1.Volume = {
    name: "throwaway",
    ephemeral: {
      volumeClaimTemplate: {
        spec: {
          accessModes: ["ReadWriteOnce"],
          resources: { requests: { storage: `${2 * storageGib}Gi` } },
          storageClassName: storageClass,
        },
      },
    },
  };
  return {
    volumes: [volume],
    initContainers: [
      {
        name: "throwaway-qdrant",
        image,
        // A sidecar: it is ready before the restore begins, and is ended with it.
        restartPolicy: "Always",
        command: ["./qdrant"],
        env: [
          // Nothing outside this pod reaches it.
          { name: "QDRANT__SERVICE__HOST", value: "127.0.0.1" },
          { name: "QDRANT__CLUSTER__ENABLED", value: "true" },
          { name: "QDRANT__TELEMETRY_DISABLED", value: "true" },
          { name: "QDRANT__STORAGE__STORAGE_PATH", value: "/qdrant/throwaway/storage" },
          { name: "QDRANT__STORAGE__SNAPSHOTS_PATH", value: "/qdrant/throwaway/snapshots" },
          { name: "QDRANT_INIT_FILE_PATH", value: "/qdrant/throwaway/.qdrant-initialized" },
        ],
        args: ["--uri", `http://127.0.0.1:${qdrantPorts.peers}`],
        resources: { requests: { ...resources }, limits: { memory: resources.memory } },
        startupProbe: {
          // Kubernetes' own probes come from outside the pod.
          exec: { command: ["/bin/bash", "-c", `: > /dev/tcp/127.0.0.1/${qdrantPorts.http}`] },
          periodSeconds: 2,
          failureThreshold: 60,
        },
        volumeMounts: [{ name: "throwaway", mountPath: "/qdrant/throwaway" }],
      },
    ],
  };
}
