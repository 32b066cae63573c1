/**
 * Proves that a real Kubernetes API takes every object that a region declares: strictly, without a warning, and every pod
 * at Pod Security's level `restricted`. There are no controllers: what they make of the objects is not proven.
 */
import { expect } from "chai";
import { type DeclareOptions, folderSettings, RegionDeclarer } from "../support/estates/kubernetes-region.ts";
import { installOperatorSchemas } from "../support/operator-schemas.ts";
import { EtcdServer, KubernetesServer } from "../support/servers/kubernetes-server.ts";
import type { Registration } from "../support/stacks/recorded-resources.ts";

interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  // biome-ignore lint/suspicious/noExplicitAny: objects of a dozen kinds, of which pods are looked for
  readonly spec?: any;
}

const variants: Record<string, DeclareOptions> = {
  "the least": { hasPeer: false, kubernetes: { namespace: "least" } },
  "a Qdrant that is there already": {
    kubernetes: { namespace: "adopting", clientNamespaces: ["apps"] },
    qdrant: {
      existing: {
        urls: ["http://vectors-0.vectors-headless.apps.svc:6333"],
        serviceUrl: "http://vectors.apps.svc:6333",
        namespace: "apps",
        podLabels: { "app.kubernetes.io/instance": "vectors" },
      },
    },
    secrets: { qdrantApiKey: "a-key-of-theirs" },
  },
  everything: {
    role: "standby",
    kubernetes: {
      ...folderSettings.kubernetes,
      namespace: "everything",
      clientNamespaces: ["apps"],
      monitoring: {
        operator: {
          namespace: "monitoring",
          labels: { release: "prometheus" },
          receiver: { kind: "slack", secret: { name: "alerts", key: "url" }, channel: "#search" },
        },
      },
      schedules: { workers: 3 },
    },
    qdrant: {
      replicas: 2,
      keyGeneration: 2,
      storageClass: "fast",
      tlsSecret: "qdrant-tls",
      outside: {
        urls: ["https://qdrant-0.prod.example:6333", "https://qdrant-1.prod.example:6333"],
        cidrs: ["10.8.0.0/16"],
        loadBalancers: { annotations: { "example.org/internal": "true" } },
      },
    },
    settings: {
      ...folderSettings.settings,
      infrastructure: {
        kubernetes: {
          namespaces: ["everything", "apps"],
          kinds: [
            { apiVersion: "apps/v1", kind: "Deployment" },
            { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy" },
            { apiVersion: "v1", kind: "Namespace" },
          ],
        },
      },
    },
  },
};

describe("objects of a region in a cluster", function () {
  this.timeout(120_000);
  let etcd: EtcdServer;
  let server: KubernetesServer;
  let declarer: RegionDeclarer;

  before(async () => {
    etcd = await EtcdServer.start();
    server = await KubernetesServer.start(etcd, "declared");
    await server.create("/api/v1/namespaces", { metadata: { name: "apps" } });
    await installOperatorSchemas(server);
    declarer = new RegionDeclarer();
  });
  after(async () => {
    await server?.stop();
    await etcd?.stop();
  });

  for (const [title, options] of Object.entries(variants)) {
    it(`are taken strictly and without a warning: ${title}`, async () => {
      const objects = objectsOf((await declarer.declare(options)).resources);
      expect(objects.length).to.be.greaterThan(20);
      for (const object of objects) {
        const query = "fieldManager=test&fieldValidation=Strict&force=true";
        const { body, status, warnings } = await server.call(
          "PATCH",
          `${pathOf(object)}?${query}`,
          object,
          "application/apply-patch+yaml",
        );
        expect(status, JSON.stringify(body)).to.be.oneOf([200, 201]);
        expect(warnings, titleOf(object)).to.deep.equal([]);
      }
      const pods = objects.flatMap(podOf);
      expect(pods.length).to.be.greaterThan(4);
      for (const pod of pods) {
        const { body, status } = await server.call("POST", `${podsOf(options)}?dryRun=All`, pod);
        expect(status, `${pod.metadata.name}: ${body.message}`).to.equal(201);
      }
    });
  }

  it("what the Prometheus operator would not take, its schemas refuse", async () => {
    const objects = objectsOf((await declarer.declare(variants["everything"])).resources);
    for (const [kind, spoil] of Object.entries(spoiled)) {
      const object = structuredClone(objects.find((one) => one.kind === kind));
      if (object === undefined) return expect.fail(`no ${kind} is declared`);
      spoil(object.spec);
      const query = "fieldManager=test&fieldValidation=Strict&force=true&dryRun=All";
      const { status } = await server.call(
        "PATCH",
        `${pathOf(object)}?${query}`,
        object,
        "application/apply-patch+yaml",
      );
      expect(status, kind).to.be.oneOf([400, 422, 500]);
    }
  });
});

/** By kind, a slip in a name or a value. */
// biome-ignore lint/suspicious/noExplicitAny: objects of three kinds, changed by path
const spoiled: Record<string, (spec: any) => void> = {
  PodMonitor: (spec) => Object.assign(spec.podMetricsEndpoints[0], { scrapeTimout: "1s" }),
  PrometheusRule: (spec) => Object.assign(spec.groups[0].rules[0], { for: "soon" }),
  AlertmanagerConfig: (spec) => Object.assign(spec.route.matchers[0], { matchType: "~" }),
};

function objectsOf(resources: readonly Registration[]): KubernetesObject[] {
  return resources
    .filter(({ type }) => type.startsWith("kubernetes:"))
    .map(({ inputs }) => inputs as unknown as KubernetesObject);
}

function podsOf({ kubernetes }: DeclareOptions): string {
  return `/api/v1/namespaces/${kubernetes?.["namespace"]}/pods`;
}

function pathOf({ apiVersion, kind, metadata: { name, namespace } }: KubernetesObject): string {
  const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const plural = kind.endsWith("y") ? `${kind.slice(0, -1)}ies` : `${kind}s`;
  return `${root}${namespace === undefined ? "" : `/namespaces/${namespace}`}/${plural.toLowerCase()}/${name}`;
}

function titleOf({ kind, metadata }: KubernetesObject): string {
  return `${kind} ${metadata.name}`;
}

/** The pod that a controller would make of the object. */
function podOf({ metadata: { name }, spec }: KubernetesObject) {
  const template = spec?.jobTemplate?.spec?.template ?? spec?.template;
  if (template === undefined) return [];
  // Volumes of claims are the StatefulSet's affair, and its claims are made with the pod.
  const claims = (spec.volumeClaimTemplates ?? []).map((claim: { metadata: { name: string } }) => ({
    name: claim.metadata.name,
    persistentVolumeClaim: { claimName: claim.metadata.name },
  }));
  const volumes = [...(template.spec.volumes ?? []), ...claims];
  return [{ metadata: { ...template.metadata, name: name.toLowerCase() }, spec: { ...template.spec, volumes } }];
}
