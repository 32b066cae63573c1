/**
 * Proves that a real Kubernetes API takes every object that a region declares: strictly, without a warning, and every pod
 * at Pod Security's level `restricted`. There are no controllers: what they make of the objects is not proven.
 */
import { expect } from "chai";
import { parseAllDocuments } from "yaml";
import { regionOfSettings } from "../../runtime/domain/region-of-settings.ts";
import { parseRegionSettings } from "../../runtime/domain/settings/region-settings.ts";
import type { TextFiles } from "../../runtime/ports/text-files.ts";
import { exportKubernetes } from "../../runtime/workflows/export/export-kubernetes.ts";
import {
  type DeclareOptions,
  folderSettings,
  identity,
  productImage,
  qdrantImage,
  RegionDeclarer,
} from "../support/estates/kubernetes-region.ts";
import { signing, trust } from "../support/estates/test-trust.ts";
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

variants["a region that a failover promoted"] = {
  ...folderSettings,
  epoch: { epoch: 4, active: "prod", previous: "dr", reason: "failover", run: "r", at: "2026-05-01T00:00:00.000Z" },
  kubernetes: {
    ...folderSettings.kubernetes,
    namespace: "promoted",
    claims: [
      { claim: "app-conf", path: "/srv/app" },
      { claim: "files", path: "/srv/files", user: 1001, group: 1001 },
    ],
  },
};

const exportedSettings = {
  region: "main",
  qdrant: { url: "http://vectors-0.vectors-headless.apps.svc:6333", apiKey: { env: "QDRANT_API_KEY" } },
  store: "s3://backups/qdrant",
  s3: { endpoint: "https://s3.example:9000" },
  keys: {
    recipients: ["age1operational", "age1recovery"],
    identity: { file: "qdrant-dr.key" },
    signing: { file: "qdrant-dr.signing-key" },
  },
  trust,
  schedules: { full: "0 1 * * *", prune: "0 3 * * *" },
  userData: [{ name: "files", path: "/srv/files" }],
  kubernetes: {
    namespace: "exported",
    image: productImage,
    qdrant: { namespace: "apps", podLabels: { "app.kubernetes.io/instance": "vectors" } },
    throwaway: { image: qdrantImage, storageGib: 10 },
    claims: [{ claim: "files", path: "/srv/files" }],
    workers: 1,
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
      await areTaken(objects, String(options.kubernetes?.["namespace"]));
    });
  }

  async function areTaken(objects: readonly KubernetesObject[], namespace: string): Promise<void> {
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
      const { body, status } = await server.call("POST", `/api/v1/namespaces/${namespace}/pods?dryRun=All`, pod);
      expect(status, `${pod.metadata.name}: ${body.message}`).to.equal(201);
    }
  }

  it("the same objects, as `export kubernetes` writes them of a settings file, in the order of their files", async () => {
    const texts = new Map<string, string>();
    const folder: TextFiles = {
      read: async () => undefined,
      write: async (path, text) => void texts.set(path, text),
    };
    const settings = parseRegionSettings("qdrant-dr.yaml", exportedSettings);
    const secrets = { apiKey: "a-key-of-theirs", identity, signing };
    const region = regionOfSettings(settings, "/", secrets);
    await exportKubernetes({ file: "qdrant-dr.yaml", settings, region, folder });
    const files = [...texts].filter(([path]) => path.startsWith("manifests/")).sort(([a], [b]) => (a < b ? -1 : 1));
    const objects = files.flatMap(([, text]) => parseAllDocuments(text).map((one) => one.toJS() as KubernetesObject));
    await areTaken(objects, "exported");
    expect(objects.map(titleOf)).to.include.members([
      "Namespace exported",
      "CronJob qdrant-dr-full",
      "NetworkPolicy qdrant-dr-default-deny",
    ]);

    // A stack with the same settings declares the same CronJobs, accounts and policies.
    const { namespace, qdrant, throwaway, workers: _, ...kubernetes } = exportedSettings.kubernetes;
    const { resources } = await declarer.declare({
      hasPeer: false,
      kubernetes: { ...kubernetes, namespace, schedules: exportedSettings.schedules },
      qdrant: {
        ...throwaway,
        existing: { ...qdrant, urls: [exportedSettings.qdrant.url], serviceUrl: exportedSettings.qdrant.url },
      },
      settings: { userData: exportedSettings.userData },
      secrets: { qdrantApiKey: "a-key-of-theirs" },
    });
    const declared = new Map(objectsOf(resources).map((object) => [titleOf(object), comparable(object)]));
    const compared = objects.filter(
      ({ kind, metadata: { name } }) =>
        ["CronJob", "ServiceAccount", "NetworkPolicy"].includes(kind) && name !== "qdrant-dr-incremental",
    );
    expect(compared.length).to.be.greaterThan(10);
    for (const object of compared)
      expect(comparable(object), titleOf(object)).to.deep.equal(declared.get(titleOf(object)));
  });

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

/** Without what names the region, and without digests of keys. */
function comparable(object: KubernetesObject): unknown {
  const text = JSON.stringify(object).replaceAll(/("qdrant-dr\/regions":)"[0-9a-f]{64}"/g, '$1""');
  return JSON.parse(text.replaceAll('"main"', '"prod"'));
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
