import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { jobTable, objectNameOf } from "../../runtime/domain/jobs.ts";
import { gatePorts } from "../../runtime/domain/network/ports.ts";
import type { Region, StoreAddress } from "../../runtime/domain/region.ts";
import { gateControlPath, gateHealthPath } from "../../runtime/domain/roles/gate.ts";
import { encodeGateSecrets, encodeGateSettings } from "../../runtime/domain/roles/gate-environment.ts";
import { gateLimitVariables } from "../../runtime/domain/settings/gate-limits.ts";
import type { KubernetesSecrets } from "../../runtime/domain/settings/kubernetes-secrets.ts";
import type { KubernetesStackSettings } from "../../runtime/domain/settings/stack-settings.ts";
import type { Trust } from "../../runtime/domain/trust/trust.ts";
import { labelsOf, selectorOf } from "./labels.ts";
import { productPod } from "./product-pod.ts";
import { secretDigest } from "./secret-digest.ts";

export interface GateArgs {
  readonly namespace: pulumi.Input<string>;
  readonly settings: KubernetesStackSettings;
  readonly upstream: pulumi.Output<{ readonly url: string; readonly grpcUrl: string; readonly apiKey: string }>;
  readonly keys: pulumi.Output<Pick<KubernetesSecrets, "administratorKey" | "clientKey" | "readOnlyKey">>;
  readonly control: pulumi.Output<StoreAddress>;
  readonly peerControl: pulumi.Output<StoreAddress | undefined>;
  readonly witness: pulumi.Output<StoreAddress> | undefined;
  readonly trust: pulumi.Output<Trust>;
  readonly signingKey: pulumi.Output<string>;
}

const objectName = objectNameOf("gate");
/** Gives each pod a name by which its control is asked. */
const controlName = `${objectName}-control`;
const stateFolder = "/var/lib/qdrant-dr";
const tlsFolder = "/etc/qdrant-dr/gate-tls";
/** A pod that ends is still led to for so long. */
const forgottenAfterSeconds = 5;
/** That, and what the gate gives to calls that are under way. */
const endsWithinSeconds = 40;

/**
 * The gate, which clients reach instead of Qdrant: it lets them through while its guard finds the region active. Each of its pods has a
 * name of its own, because a switchover asks every one whether it is closed and empty, and a volume that keeps what it has seen of epochs.
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
    const controls = new k8s.core.v1.Service(
      `${name}-control`,
      {
        metadata: { ...metadata, name: controlName },
        spec: {
          clusterIP: "None",
          // A fence asks also the one that clients are not led to any more.
          publishNotReadyAddresses: true,
          selector: selectorOf(objectName),
          ports: servicePorts("control"),
        },
      },
      child,
    );
    new k8s.apps.v1.StatefulSet(
      `${name}-process`,
      {
        metadata,
        spec: {
          serviceName: controlName,
          replicas: settings.replicas,
          podManagementPolicy: "Parallel",
          persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
          selector: { matchLabels: selectorOf(objectName) },
          template: gatePod(args, pulumi.unsecret(variables.apply(secretDigest))),
          volumeClaimTemplates: [
            {
              metadata: { name: "seen" },
              spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
            },
          ],
        },
      },
      { ...child, dependsOn: [environment, controls] },
    );
    new k8s.policy.v1.PodDisruptionBudget(
      `${name}-disruptions`,
      { metadata, spec: { maxUnavailable: 1, selector: { matchLabels: selectorOf(objectName) } } },
      child,
    );
    new k8s.core.v1.Service(
      `${name}-service`,
      {
        metadata: { ...metadata, annotations: settings.service.annotations },
        spec: {
          type: settings.service.type,
          ...(settings.service.type === "LoadBalancer"
            ? { loadBalancerSourceRanges: args.settings.kubernetes.clientCidrs, externalTrafficPolicy: "Local" }
            : {}),
          selector: selectorOf(objectName),
          ports: servicePorts("http", "grpc"),
        },
      },
      child,
    );
    this.#controlLoadBalancers(name, args);

    const scheme = settings.tlsSecret === undefined ? "http" : "https";
    const insideUrl = pulumi.interpolate`${scheme}://${objectName}.${namespace}.svc:${gatePorts.http}`;
    const insideControls = pulumi
      .output(namespace)
      .apply((within) =>
        podNames(settings.replicas).map((pod) => `http://${pod}.${controlName}.${within}.svc:${gatePorts.control}`),
      );
    const reachedBy = (url: pulumi.Output<string>, controlUrls: pulumi.Output<string[]>) =>
      pulumi.output({
        url,
        controlUrls: controlUrls.apply((bases) => bases.map((base) => base.replace(/\/$/, "") + gateControlPath)),
        controlToken: token,
        mode: settings.mode,
        lease: witness && { witness, seconds: settings.leaseSeconds },
      });
    this.inside = reachedBy(insideUrl, insideControls);
    this.outputs = reachedBy(
      settings.url === undefined ? insideUrl : pulumi.output(settings.url),
      settings.control === undefined ? insideControls : pulumi.output([...settings.control.urls]),
    );
    this.registerOutputs({ outputs: this.outputs });
  }

  /** A private load balancer for the control of each pod. */
  #controlLoadBalancers(name: string, { namespace, settings }: GateArgs): void {
    const { control, replicas } = settings.kubernetes.gate;
    if (control?.loadBalancers === undefined) return;
    for (const pod of podNames(replicas)) {
      new k8s.core.v1.Service(
        `${name}-control-${pod}`,
        {
          metadata: {
            name: `${pod}-control`,
            namespace,
            labels: labelsOf(objectName),
            annotations: control.loadBalancers.annotations,
          },
          spec: {
            type: "LoadBalancer",
            loadBalancerSourceRanges: control.cidrs,
            externalTrafficPolicy: "Local",
            publishNotReadyAddresses: true,
            selector: { ...selectorOf(objectName), "statefulset.kubernetes.io/pod-name": pod },
            ports: servicePorts("control"),
          },
        },
        { parent: this },
      );
    }
  }
}

function gatePod({ settings }: GateArgs, environment: pulumi.Output<string>) {
  const { gate } = settings.kubernetes;
  const { tlsSecret } = gate;
  const plain = encodeGateSettings({
    QDRANT_DR_GATE_HOST: "0.0.0.0",
    QDRANT_DR_GATE_PORT: gatePorts.http,
    QDRANT_DR_GATE_GRPC_PORT: gatePorts.grpc,
    QDRANT_DR_GATE_CONTROL_PORT: gatePorts.control,
    QDRANT_DR_GATE_CONTROL_TLS: "none",
    QDRANT_DR_GATE_TLS:
      tlsSecret === undefined ? undefined : { certificate: `${tlsFolder}/tls.crt`, key: `${tlsFolder}/tls.key` },
    QDRANT_DR_GATE_OTHER_KEYS: gate.otherKeys,
    QDRANT_DR_GATE_REGION: settings.region,
    QDRANT_DR_GATE_MODE: gate.mode,
    QDRANT_DR_GATE_LEASE_SECONDS: gate.leaseSeconds,
    QDRANT_DR_GATE_STATE: `${stateFolder}/seen.json`,
    ...gateLimitVariables(gate.limits),
    QDRANT_DR_GATE_PEER: settings.peer,
  });
  const { metadata, spec } = productPod({
    settings,
    job: "gate",
    command: { program: jobTable.gate.runs.program },
    env: Object.entries(plain).map(([variable, value]) => ({ name: variable, value })),
    container: {
      envFrom: [{ secretRef: { name: objectName } }],
      ports: Object.entries(gatePorts).map(([port, containerPort]) => ({ name: port, containerPort })),
      // Ready also when it is closed: it tells clients why, and operators what it sees.
      readinessProbe: { httpGet: { path: gateHealthPath, port: "control" }, periodSeconds: 5 },
      livenessProbe: { httpGet: { path: gateHealthPath, port: "control" }, periodSeconds: 10, failureThreshold: 6 },
      lifecycle: { preStop: { sleep: { seconds: forgottenAfterSeconds } } },
      volumeMounts: [
        { name: "seen", mountPath: stateFolder },
        ...(tlsSecret === undefined ? [] : [{ name: "gate-tls", mountPath: tlsFolder, readOnly: true }]),
      ],
    },
    pod: {
      terminationGracePeriodSeconds: endsWithinSeconds,
      topologySpreadConstraints: ["kubernetes.io/hostname", "topology.kubernetes.io/zone"].map((topologyKey) => ({
        maxSkew: 1,
        topologyKey,
        whenUnsatisfiable: "ScheduleAnyway",
        labelSelector: { matchLabels: selectorOf(objectName) },
      })),
      volumes:
        tlsSecret === undefined ? [] : [{ name: "gate-tls", secret: { secretName: tlsSecret, defaultMode: 0o440 } }],
    },
  });
  // The gate reads its Secret once, when it starts.
  return { metadata: { ...metadata, annotations: { "qdrant-dr/environment": environment } }, spec };
}

function secretEnvironment(args: GateArgs, token: pulumi.Output<string>) {
  const { control, keys, peerControl, signingKey, trust, upstream, witness } = args;
  return pulumi
    .all([upstream, keys, token, control, peerControl, pulumi.output(witness), trust, signingKey])
    .apply(([toQdrant, ofClients, controlToken, own, peers, third, believed, signsWith]) =>
      encodeGateSecrets({
        QDRANT_DR_GATE_UPSTREAM: toQdrant,
        QDRANT_DR_GATE_CLIENT_KEY: ofClients.clientKey,
        QDRANT_DR_GATE_READ_ONLY_KEY: ofClients.readOnlyKey,
        QDRANT_DR_GATE_ADMINISTRATOR_KEY: ofClients.administratorKey,
        QDRANT_DR_GATE_CONTROL_TOKEN: controlToken,
        QDRANT_DR_GATE_CONTROL: own,
        QDRANT_DR_GATE_PEER_CONTROL: peers,
        QDRANT_DR_GATE_WITNESS: third,
        QDRANT_DR_GATE_TRUST: believed,
        QDRANT_DR_GATE_SIGNING_KEY: signsWith,
      }),
    );
}

function podNames(replicas: number): string[] {
  return Array.from({ length: replicas }, (_, index) => `${objectName}-${index}`);
}

function servicePorts(...names: readonly (keyof typeof gatePorts)[]) {
  return names.map((port) => ({ name: port, port: gatePorts[port], targetPort: port }));
}
