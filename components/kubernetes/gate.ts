import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { jobTable, objectNameOf } from "../../runtime/domain/jobs.ts";
import { gatePort } from "../../runtime/domain/network/ports.ts";
import type { Region, StoreAddress } from "../../runtime/domain/region.ts";
import { encodeGateSecrets, encodeGateSettings } from "../../runtime/domain/roles/gate-environment.ts";
import type { KubernetesStackSettings } from "../../runtime/domain/settings/stack-settings.ts";
import { labelsOf, selectorOf } from "./labels.ts";
import { productPod } from "./product-pod.ts";
import { secretDigest } from "./secret-digest.ts";

export interface GateArgs {
  readonly namespace: pulumi.Input<string>;
  readonly settings: KubernetesStackSettings;
  readonly upstream: pulumi.Output<{ readonly url: string; readonly apiKey: string }>;
  readonly clientKey: pulumi.Output<string>;
  readonly control: pulumi.Output<StoreAddress>;
  readonly peerControl: pulumi.Output<StoreAddress | undefined>;
  readonly witness: pulumi.Output<StoreAddress> | undefined;
}

const objectName = objectNameOf("gate");
const stateFolder = "/var/lib/qdrant-dr";

/**
 * The gate, which clients reach instead of Qdrant: it lets them through while its guard finds the region active. One pod, because a
 * switchover waits for the requests that are under way in it; a volume keeps what it has seen of epochs.
 */
export class Gate extends pulumi.ComponentResource {
  /** What the runtime needs to know of it. */
  readonly outputs: pulumi.Output<NonNullable<Region["gate"]>>;
  /** The same, as pods of this cluster reach it. */
  readonly inside: pulumi.Output<NonNullable<Region["gate"]>>;

  constructor(name: string, args: GateArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:index:Gate", name, {}, opts);
    const { namespace, witness } = args;
    const { gate: settings } = args.settings.kubernetes;
    const child = { parent: this };
    const metadata = { name: objectName, namespace, labels: labelsOf(objectName) };
    const token = new random.RandomPassword(`${name}-token`, { length: 48, special: false }, child).result;

    const variables = secretEnvironment(args, token);
    const environment = new k8s.core.v1.Secret(`${name}-environment`, { metadata, stringData: variables }, child);
    new k8s.apps.v1.StatefulSet(
      `${name}-process`,
      {
        metadata,
        spec: {
          serviceName: objectName,
          replicas: 1,
          persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
          selector: { matchLabels: selectorOf(objectName) },
          template: gatePod(args, secretDigest(variables)),
          volumeClaimTemplates: [
            {
              metadata: { name: "seen" },
              spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
            },
          ],
        },
      },
      { ...child, dependsOn: [environment] },
    );
    new k8s.core.v1.Service(
      `${name}-service`,
      {
        metadata: { ...metadata, annotations: settings.service.annotations },
        spec: {
          type: settings.service.type,
          selector: selectorOf(objectName),
          ports: [{ name: "http", port: gatePort, targetPort: "http" }],
        },
      },
      child,
    );

    const insideUrl = pulumi.interpolate`http://${objectName}.${namespace}.svc:${gatePort}`;
    const reachedBy = (url: pulumi.Output<string>) =>
      pulumi.output({
        url,
        controlUrl: url.apply((base) => `${base.replace(/\/$/, "")}/.qdrant-dr/gate`),
        controlToken: token,
        mode: settings.mode,
        lease: witness && { witness, seconds: settings.leaseSeconds },
      });
    this.inside = reachedBy(insideUrl);
    this.outputs = reachedBy(settings.url === undefined ? insideUrl : pulumi.output(settings.url));
    this.registerOutputs({ outputs: this.outputs });
  }
}

function gatePod({ settings }: GateArgs, environment: pulumi.Output<string>) {
  const { gate } = settings.kubernetes;
  const plain = encodeGateSettings({
    QDRANT_DR_GATE_HOST: "0.0.0.0",
    QDRANT_DR_GATE_PORT: gatePort,
    QDRANT_DR_GATE_REGION: settings.region,
    QDRANT_DR_GATE_MODE: gate.mode,
    QDRANT_DR_GATE_LEASE_SECONDS: gate.leaseSeconds,
    QDRANT_DR_GATE_STATE: `${stateFolder}/seen.json`,
  });
  const { metadata, spec } = productPod({
    settings,
    job: "gate",
    command: { program: jobTable.gate.runs.program },
    env: Object.entries(plain).map(([variable, value]) => ({ name: variable, value })),
    container: {
      envFrom: [{ secretRef: { name: objectName } }],
      ports: [{ name: "http", containerPort: gatePort }],
      // Ready also when it is closed: it tells clients why, and operators what it sees.
      readinessProbe: { httpGet: { path: "/.qdrant-dr/health", port: "http" }, periodSeconds: 5 },
      volumeMounts: [{ name: "seen", mountPath: stateFolder }],
    },
  });
  // The gate reads its Secret once, when it starts.
  return { metadata: { ...metadata, annotations: { "qdrant-dr/environment": environment } }, spec };
}

function secretEnvironment(args: GateArgs, token: pulumi.Output<string>) {
  const { clientKey, control, peerControl, upstream, witness } = args;
  return pulumi
    .all([upstream, clientKey, token, control, peerControl, pulumi.output(witness)])
    .apply(([toQdrant, key, controlToken, own, peers, third]) =>
      encodeGateSecrets({
        QDRANT_DR_GATE_UPSTREAM: toQdrant,
        QDRANT_DR_GATE_CLIENT_KEY: key,
        QDRANT_DR_GATE_CONTROL_TOKEN: controlToken,
        QDRANT_DR_GATE_CONTROL: own,
        QDRANT_DR_GATE_PEER_CONTROL: peers,
        QDRANT_DR_GATE_WITNESS: third,
      }),
    );
}
