import { expect } from "chai";
import { applyStep } from "../../runtime/domain/infrastructure/apply-order.ts";
import {
  declaredPart,
  isDeclared,
  type KubernetesObject,
} from "../../runtime/domain/infrastructure/kubernetes-object.ts";

const object = (apiVersion: string, kind: string, rest: object = {}, metadata: object = {}) =>
  ({ apiVersion, kind, metadata: { name: "it", namespace: "shop", ...metadata }, ...rest }) as KubernetesObject;

describe("an object of Kubernetes, as captured", () => {
  const undeclared: readonly [string, KubernetesObject][] = [
    [
      "what a controller owns",
      object("v1", "Pod", {}, { ownerReferences: [{ kind: "Job", name: "a", controller: true }] }),
    ],
    ["what is about to go", object("v1", "Secret", {}, { deletionTimestamp: "2026-11-22T00:00:00Z" })],
    [
      "roles that every server begins with",
      object(
        "rbac.authorization.k8s.io/v1",
        "ClusterRole",
        {},
        { labels: { "kubernetes.io/bootstrapping": "rbac-defaults" } },
      ),
    ],
    [
      "API groups that the server registers",
      object(
        "apiregistration.k8s.io/v1",
        "APIService",
        {},
        { labels: { "kube-aggregator.kubernetes.io/automanaged": "onstart" } },
      ),
    ],
    [
      "flow schemas that the server keeps up to date",
      object(
        "flowcontrol.apiserver.k8s.io/v1",
        "FlowSchema",
        {},
        { annotations: { "apf.kubernetes.io/autoupdate-spec": "true" } },
      ),
    ],
    ["the certificate of the cluster", object("v1", "ConfigMap", {}, { name: "kube-root-ca.crt" })],
    ["the Service of the API", object("v1", "Service", {}, { name: "kubernetes", namespace: "default" })],
    ["priorities of the system", object("scheduling.k8s.io/v1", "PriorityClass", {}, { name: "system-node-critical" })],
  ];
  for (const [what, given] of undeclared) {
    it(`is not ${what}`, () => expect(isDeclared(given)).to.equal(false));
  }

  it("may have owners that do not control it, which are not captured", () => {
    const owned = object("v1", "Secret", {}, { ownerReferences: [{ kind: "Shop", name: "a", uid: "1" }] });
    expect(isDeclared(owned)).to.equal(true);
    expect(declaredPart(owned).metadata).to.not.have.property("ownerReferences");
  });

  const stripped: readonly [string, KubernetesObject, object][] = [
    [
      "the volume that a controller chose",
      object(
        "v1",
        "PersistentVolumeClaim",
        { spec: { volumeName: "pvc-1", accessModes: [] } },
        { annotations: { "pv.kubernetes.io/bound-by-controller": "yes" } },
      ),
      { spec: { accessModes: [] } },
    ],
    [
      "the identity of the claim of a volume",
      object("v1", "PersistentVolume", { spec: { claimRef: { name: "a", uid: "1", resourceVersion: "2" } } }),
      { spec: { claimRef: { name: "a" } } },
    ],
    [
      "the selector that the server gave a Job",
      object("batch/v1", "Job", {
        spec: {
          selector: { matchLabels: { "batch.kubernetes.io/controller-uid": "1" } },
          template: { metadata: { labels: { "batch.kubernetes.io/controller-uid": "1", mine: "a" } } },
        },
      }),
      { spec: { template: { metadata: { labels: { mine: "a" } } } } },
    ],
    [
      "a token that one cluster signed",
      object("v1", "Secret", { type: "kubernetes.io/service-account-token", data: { token: "eA==" } }),
      { type: "kubernetes.io/service-account-token" },
    ],
    ["the node of a pod", object("v1", "Pod", { spec: { nodeName: "n", hostname: "h" } }), { spec: { hostname: "h" } }],
  ];
  for (const [what, given, left] of stripped) {
    it(`goes without ${what}`, () => {
      const { apiVersion, kind, metadata, ...rest } = declaredPart(given);
      expect(rest).to.deep.equal(left);
    });
  }

  const kept: readonly [string, KubernetesObject][] = [
    ["the volume that a person chose", object("v1", "PersistentVolumeClaim", { spec: { volumeName: "by-hand" } })],
    [
      "the selector of a Job that a person chose",
      object("batch/v1", "Job", { spec: { manualSelector: true, selector: { matchLabels: { a: "b" } } } }),
    ],
    ["finalizers and empty lists", object("v1", "ConfigMap", { data: {} }, { finalizers: ["example.org/keep"] })],
    ["a port that was chosen", object("v1", "Service", { spec: { ports: [{ port: 80, nodePort: 30_080 }] } })],
  ];
  for (const [what, given] of kept) it(`keeps ${what}`, () => expect(declaredPart(given)).to.deep.equal(given));

  it("is applied after what it needs", () => {
    const order = [
      object("v1", "Namespace"),
      object("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
      object("v1", "ServiceAccount"),
      object("v1", "Secret"),
      object("v1", "PersistentVolumeClaim"),
      object("networking.k8s.io/v1", "NetworkPolicy"),
      object("apps/v1", "StatefulSet"),
      object("example.org/v1", "Namespace"),
      object("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
    ];
    expect([...order].reverse().sort((a, b) => applyStep(a) - applyStep(b))).to.deep.equal(order);
  });
});
