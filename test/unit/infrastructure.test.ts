import { expect } from "chai";
import { apiResourceOf } from "../../runtime/domain/infrastructure/api-resources.ts";
import { ImageCollector } from "../../runtime/domain/infrastructure/image-references.ts";
import { infrastructureSchema, objectPath, stackPath } from "../../runtime/domain/infrastructure/infrastructure.ts";
import type { KubernetesObject } from "../../runtime/domain/infrastructure/kubernetes-object.ts";

const valid = { namespaces: ["shop"], kinds: [{ apiVersion: "apps/v1", kind: "Deployment" }] };
const digest = (of: string) => `sha256:${of.repeat(64)}`;

describe("infrastructure: settings and documents", () => {
  const refused: readonly [string, object][] = [
    ["no kinds", { kubernetes: { ...valid, kinds: [] } }],
    ["no namespaces", { kubernetes: { ...valid, namespaces: [] } }],
    ["a namespace twice", { kubernetes: { ...valid, namespaces: ["shop", "shop"] } }],
    [
      "a kind in two versions",
      {
        kubernetes: {
          ...valid,
          kinds: [
            { apiVersion: "batch/v1", kind: "CronJob" },
            { apiVersion: "batch/v1beta1", kind: "CronJob" },
          ],
        },
      },
    ],
    ["a plural for a kind", { kubernetes: { ...valid, kinds: [{ apiVersion: "apps/v1", kind: "deployments" }] } }],
    ["a group without a version", { kubernetes: { ...valid, kinds: [{ apiVersion: "apps", kind: "Deployment" }] } }],
    [
      "a scope that there is not",
      { kubernetes: { ...valid, kinds: [{ apiVersion: "a.example/v1", kind: "A", scope: "cluster" }] } },
    ],
    ["a setting that there is not", { kubernetes: { ...valid, selectors: "a=b" } }],
    ["a stack that leads out of its folder", { stacks: ["../up"] }],
  ];
  for (const [what, given] of refused) {
    it(`refuses ${what}`, () => expect(infrastructureSchema.safeParse(given).success).to.equal(false));
  }

  it("takes a cluster, stacks or both", () => {
    for (const given of [{ kubernetes: valid }, { stacks: ["org/shop/prod"] }, { kubernetes: valid, stacks: ["a"] }]) {
      expect(infrastructureSchema.safeParse(given).success).to.equal(true);
    }
  });

  it("a kind of another group than Kubernetes' own is no kind of Kubernetes: its resource and scope are what the settings say", () => {
    const knative = { apiVersion: "serving.knative.dev/v1", kind: "Service" };
    expect(apiResourceOf({ apiVersion: "v1", kind: "Service" })).to.deep.equal({
      resource: "services",
      scope: "Namespaced",
    });
    expect(apiResourceOf(knative)).to.equal(undefined);
    expect(apiResourceOf({ ...knative, resource: "services" })).to.equal(undefined);
    const given = { resource: "tenancies", scope: "Cluster" as const };
    expect(apiResourceOf({ apiVersion: "example.org/v1", kind: "Tenancy", ...given })).to.deep.equal(given);
  });

  it("settings cannot lead a kind to what belongs to a kind of Kubernetes", () => {
    const configMap = { apiVersion: "v1", kind: "ConfigMap" };
    expect(apiResourceOf({ ...configMap, resource: "secrets" })).to.equal(undefined);
    expect(apiResourceOf({ ...configMap, scope: "Cluster" })).to.equal(undefined);
    const own = { resource: "configmaps", scope: "Namespaced" as const };
    expect(apiResourceOf({ ...configMap, ...own })).to.deep.equal(own);
    const secrets = { resource: "secrets", scope: "Namespaced" as const };
    expect(apiResourceOf({ apiVersion: "v1", kind: "Made", ...secrets }), "a kind that there is not").to.equal(
      undefined,
    );
    expect(apiResourceOf({ apiVersion: "example.org/v1", kind: "Made", ...secrets })).to.deep.equal(secrets);
  });

  it("gives every document a place of its own", () => {
    const at = (apiVersion: string, kind: string, namespace?: string) =>
      objectPath({ apiVersion, kind, metadata: { name: "a:b", namespace } });
    expect(at("v1", "Secret", "shop")).to.equal("kubernetes/shop/Secret/a:b.json");
    expect(at("apps/v1", "Deployment", "shop")).to.equal("kubernetes/shop/Deployment.apps/a:b.json");
    expect(at("example.org/v1", "Secret")).to.equal("kubernetes/_cluster/Secret.example.org/a:b.json");
    expect(stackPath("org/shop/prod")).to.equal("pulumi/org/shop/prod.json");
  });
});

describe("references to images", () => {
  const pod = (name: string, metadata: object, statuses: object[] = []) =>
    ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: "shop", ...metadata },
      spec: { containers: [{ name: "main", image: "web:1" }], initContainers: [{ name: "init", image: "setup:1" }] },
      status: { containerStatuses: statuses },
    }) as KubernetesObject;
  const ran = (of: string) => [{ name: "main", image: "sha256:1", imageID: `docker.io/library/web@${digest(of)}` }];
  const owner = (kind: string, name: string) => ({ ownerReferences: [{ kind, name, controller: true }] });

  it("name the digests that ran, also two when a tag was moved, and the workloads", () => {
    const images = new ImageCollector();
    const hash = { labels: { "pod-template-hash": "5f7d" } };
    images.addPod(pod("web-5f7d-a", { ...hash, ...owner("ReplicaSet", "web-5f7d") }, ran("b")));
    images.addPod(pod("web-5f7d-b", { ...hash, ...owner("ReplicaSet", "web-5f7d") }, ran("a")));
    images.addPod(pod("db-0", owner("StatefulSet", "db"), ran("a")));
    images.addPod(pod("alone", {}, [{ name: "main", imageID: "sha256:of-a-local-image" }]));
    const usedBy = ["Deployment shop/web", "Pod shop/alone", "StatefulSet shop/db"];
    expect(images.references()).to.deep.equal([
      { image: "setup:1", digests: [], usedBy },
      { image: "web:1", digests: [digest("a"), digest("b")], usedBy },
    ]);
  });

  it("take the digest that a workload itself names", () => {
    const images = new ImageCollector();
    const image = `web@${digest("c")}`;
    const spec = { template: { spec: { containers: [{ name: "a", image }] } } };
    images.addWorkload({ apiVersion: "apps/v1", kind: "DaemonSet", metadata: { name: "n", namespace: "s" }, spec });
    expect(images.references()).to.deep.equal([{ image, digests: [digest("c")], usedBy: ["DaemonSet s/n"] }]);
  });
});
