/** Infrastructure captured from one cluster and applied to another, on real API servers. */
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { LocalFolders } from "../../runtime/adapters/folders/folder-target.ts";
import { KubernetesCluster } from "../../runtime/adapters/kubernetes/kubernetes-cluster.ts";
import { parseExactly } from "../../runtime/domain/exact-json.ts";
import { infrastructureSchema } from "../../runtime/domain/infrastructure/infrastructure.ts";
import type { KubernetesObject } from "../../runtime/domain/infrastructure/kubernetes-object.ts";
import { folderTreeSchema } from "../../runtime/domain/recovery-points/folder-tree.ts";
import { DrError } from "../../runtime/errors.ts";
import type { Cluster, InfrastructureSource } from "../../runtime/ports/cluster.ts";
import type { KeyWrap } from "../../runtime/ports/key-wrap.ts";
import type { VectorDatabase } from "../../runtime/ports/qdrant.ts";
import { readCatalog } from "../../runtime/repository/catalog/read-catalog.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import { copyRecoveryPoints } from "../../runtime/workflows/copy/copy-recovery-points.ts";
import { planFolderRestore, restoreFolders } from "../../runtime/workflows/folders/restore-folder.ts";
import {
  type ApplyRequest,
  applyInfrastructure,
  planApplication,
} from "../../runtime/workflows/infrastructure/apply-infrastructure.ts";
import { infrastructureCapture } from "../../runtime/workflows/infrastructure/capture-infrastructure.ts";
import { infrastructureSource } from "../../runtime/workflows/infrastructure/infrastructure-documents.ts";
import { readInfrastructure } from "../../runtime/workflows/infrastructure/read-infrastructure.ts";
import { allOf } from "../support/all-of.ts";
import {
  ageKeys,
  type MemoryStores,
  silently,
  storesWithEpoch,
  systemClock,
} from "../support/estates/recovery-estate.ts";
import { codeOf, errorOf } from "../support/expect-code.ts";
import { asItIs, type KubernetesProxy, kubernetesProxy } from "../support/servers/kubernetes-proxy.ts";
import { EtcdServer, KubernetesServer } from "../support/servers/kubernetes-server.ts";

const digest = `sha256:${"5".repeat(64)}`;
const kinds = [
  { apiVersion: "v1", kind: "Namespace" },
  { apiVersion: "v1", kind: "ConfigMap" },
  { apiVersion: "v1", kind: "Secret" },
  { apiVersion: "v1", kind: "Service" },
  { apiVersion: "v1", kind: "ServiceAccount" },
  { apiVersion: "v1", kind: "PersistentVolumeClaim" },
  { apiVersion: "apps/v1", kind: "Deployment" },
  { apiVersion: "apps/v1", kind: "ReplicaSet" },
  { apiVersion: "batch/v1", kind: "CronJob" },
  { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole" },
  { apiVersion: "rbac.authorization.k8s.io/v1", kind: "RoleBinding" },
  { apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition" },
  { apiVersion: "example.org/v1", kind: "Kiosk" },
];
const podOf = (image: string) => ({
  metadata: { labels: { app: "web" } },
  spec: { containers: [{ name: "web", image }] },
});

describe("infrastructure, captured and applied again", function () {
  this.timeout(120_000);
  let etcd: EtcdServer;
  let source: KubernetesServer;
  let captured: Map<string, string>;

  const sourceOf = (kubernetes: object) => {
    const settings = infrastructureSchema.parse({ kubernetes });
    return infrastructureSource({
      settings,
      cluster: () => KubernetesCluster.open(settings.kubernetes ?? {}),
      stacks: () => Promise.reject(new Error("no stacks were asked for")),
    });
  };
  const capture = async (server: KubernetesServer, wanted: object = {}) => {
    const settings = { kubeconfig: server.kubeconfig, namespaces: ["shop"], kinds, ...wanted };
    const documents = await allOf(sourceOf(settings).documents());
    return new Map(documents.map(({ bytes, path }) => [path, String(bytes)]));
  };
  const objectsIn = (documents: ReadonlyMap<string, string>) =>
    [...documents].flatMap(([path, text]) =>
      path.startsWith("kubernetes/") ? [parseExactly(text) as KubernetesObject] : [],
    );
  const objectsAt = (...paths: string[]) => objectsIn(new Map(paths.map((path) => [path, captured.get(path) ?? ""])));
  const requestFor = async (server: KubernetesServer, objects: KubernetesObject[], forceConflicts = false) => ({
    cluster: await KubernetesCluster.open({ kubeconfig: server.kubeconfig }),
    objects,
    forceConflicts,
    clock: systemClock,
    progress: () => {},
  });

  before(async () => {
    etcd = await EtcdServer.start();
    source = await KubernetesServer.start(etcd, "source");
    await furnish(source);
    captured = await capture(source);
  });
  after(async () => {
    await source?.stop();
    await etcd?.stop();
  });

  it("captures what was declared, one document an object, and not what the cluster makes by itself", () => {
    expect([...captured.keys()].sort()).to.deep.equal([
      "images.json",
      "kubernetes/_cluster/ClusterRole.rbac.authorization.k8s.io/all-roles.json",
      "kubernetes/_cluster/ClusterRole.rbac.authorization.k8s.io/shop:reader.json",
      "kubernetes/_cluster/CustomResourceDefinition.apiextensions.k8s.io/kiosks.example.org.json",
      "kubernetes/_cluster/Namespace/shop.json",
      "kubernetes/shop/ConfigMap/prices.json",
      "kubernetes/shop/CronJob.batch/nightly.json",
      "kubernetes/shop/Deployment.apps/web.json",
      "kubernetes/shop/Kiosk.example.org/corner.json",
      "kubernetes/shop/PersistentVolumeClaim/data.json",
      "kubernetes/shop/RoleBinding.rbac.authorization.k8s.io/reader.json",
      "kubernetes/shop/Secret/password.json",
      "kubernetes/shop/Service/headless.json",
      "kubernetes/shop/Service/web.json",
      "kubernetes/shop/ServiceAccount/web.json",
    ]);
  });

  it("leaves out of each document what the server owns", () => {
    for (const text of captured.values()) {
      expect(text).to.not.match(/managedFields|resourceVersion|"uid"|creationTimestamp|"status"|last-applied/);
    }
    const [web, headless, prices, claim, roles] = objectsAt(
      "kubernetes/shop/Service/web.json",
      "kubernetes/shop/Service/headless.json",
      "kubernetes/shop/ConfigMap/prices.json",
      "kubernetes/shop/PersistentVolumeClaim/data.json",
      "kubernetes/_cluster/ClusterRole.rbac.authorization.k8s.io/all-roles.json",
    );
    expect(web?.["spec"]).to.not.have.any.keys("clusterIP", "clusterIPs");
    expect(headless?.["spec"]).to.include({ clusterIP: "None" });
    expect(prices?.metadata).to.deep.equal({ name: "prices", namespace: "shop", annotations: { note: "kept" } });
    expect(claim?.["spec"]).to.not.have.property("volumeName");
    expect(claim?.metadata).to.not.have.property("annotations");
    expect(roles).to.not.have.property("rules");
  });

  it("is the same, byte for byte, when nothing changed", async () => {
    expect([...(await capture(source))]).to.deep.equal([...captured]);
  });

  it("lists the images with their digests and for whom they run", () => {
    expect(parseExactly(captured.get("images.json") ?? "")).to.deep.equal([
      { image: "example.org/job:1", digests: [], usedBy: ["CronJob shop/nightly"] },
      { image: "example.org/web:1", digests: [digest], usedBy: ["Deployment shop/web"] },
    ]);
  });

  it("captures what a selector selects, and Secrets only when they are asked for", async () => {
    const selected = await capture(source, { selector: "tier=front" });
    expect([...selected.keys()].filter((path) => path.startsWith("kubernetes/shop"))).to.deep.equal([
      "kubernetes/shop/Deployment.apps/web.json",
    ]);
    const few = await capture(source, { kinds: kinds.filter(({ kind }) => kind !== "Secret") });
    expect([...few.keys()].filter((path) => path.includes("Secret"))).to.deep.equal([]);
    expect([...few.values()].join()).to.not.contain("c2VjcmV0");
  });

  it("takes a slip in a namespace or a kind for no empty list", async () => {
    const namespace = await errorOf(capture(source, { namespaces: ["shop", "shopp"] }));
    expect(namespace?.message).to.match(/^infrastructure\.kubernetes\.namespaces: test \(.*\) has no shopp$/);
    const kind = await errorOf(capture(source, { kinds: [{ apiVersion: "apps/v1", kind: "Deploiment" }] }));
    expect(kind?.message).to.match(/^infrastructure\.kubernetes\.kinds: .* has no apps\/v1 Deploiment$/);
  });

  describe("in recovery points", () => {
    let wrap: KeyWrap;
    let proxy: KubernetesProxy;
    let stores: MemoryStores;
    let repository: OpenRepository;
    before(async () => {
      ({ wrap } = await ageKeys());
      proxy = await kubernetesProxy(source);
    });
    after(() => proxy?.stop());
    beforeEach(async () => {
      proxy.change = asItIs;
      stores = storesWithEpoch();
      repository = await OpenRepository.openOrCreate(stores, wrap);
    });

    const capturedInto = async (documents: InfrastructureSource, allowEmpty = false) =>
      captureRecoveryPoint({
        region: "east",
        type: "incremental",
        kinds: ["infrastructure"],
        folders: [infrastructureCapture(documents, silently)],
        database: noDatabase,
        repository,
        clock: systemClock,
        progress: silently,
        toolVersion: "test",
        allowEmpty,
      });
    const onTheWay = () => sourceOf({ kubeconfig: proxy.kubeconfig, namespaces: ["shop"], kinds });

    it("comes back object by object from another region's bucket", async () => {
      const { recoveryPoint } = await capturedInto(onTheWay());
      const westStores = storesWithEpoch();
      await copyRecoveryPoints(repository, { stores: westStores, wrap }, silently, systemClock);
      const west = await OpenRepository.open(westStores, wrap);
      const { objects, stacks } = await readInfrastructure(west, await west.readRecoveryPoint(recoveryPoint));
      expect(objects).to.deep.equal(objectsIn(captured));
      expect(stacks).to.deep.equal([]);
    });

    it("holds the states of stacks beside it, as they were exported", async () => {
      const state = '{"version":3,"deployment":{}}';
      const changedAt = new Date("2026-01-01T00:00:00.000Z");
      const documents = infrastructureSource({
        settings: { stacks: ["prod", "org/shop/dr"] },
        cluster: () => Promise.reject(new Error("no cluster was asked for")),
        stacks: async () => ({ exportState: async () => ({ state, changedAt }) }),
      });
      const { recoveryPoint } = await capturedInto(documents);
      const read = await readInfrastructure(repository, await repository.readRecoveryPoint(recoveryPoint));
      expect(read).to.deep.equal({ objects: [], stacks: ["prod", "org/shop/dr"] });
      const tree = (await repository.readRecoveryPoint(recoveryPoint)).folders[0]?.tree.id ?? "";
      const { entries } = await repository.readTree(tree, folderTreeSchema);
      expect(entries.map(({ modifiedAt, path }) => [path, modifiedAt])).to.deep.equal([
        ["pulumi/prod.json", changedAt.toISOString()],
        ["pulumi/org/shop/dr.json", changedAt.toISOString()],
      ]);
    });

    it("costs nothing when nothing changed, and what changed when something did", async () => {
      const first = await capturedInto(onTheWay());
      expect(first.storedBytes).to.be.greaterThan(0);
      expect((await capturedInto(onTheWay())).storedBytes).to.equal(0);
      const cut: InfrastructureSource = {
        async *documents() {
          for await (const document of onTheWay().documents()) {
            if (document.path !== "images.json") yield document;
            else yield { ...document, bytes: Buffer.from("[]\n") };
          }
        },
      };
      expect((await capturedInto(cut)).storedBytes).to.be.within(1, first.storedBytes / 2);
    });

    it("is readable for nobody but the owner when it is restored to files", async () => {
      const { recoveryPoint } = await capturedInto(onTheWay());
      const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-infrastructure-"));
      try {
        const request = {
          repository,
          recoveryPoint: await repository.readRecoveryPoint(recoveryPoint),
          target: new LocalFolders(),
          kinds: ["infrastructure" as const],
          homes: new Map(),
          into: folder,
          progress: silently,
        };
        await restoreFolders(request, await planFolderRestore(request));
        for (const [path, text] of captured) {
          const file = join(folder, "infrastructure", path);
          expect(readFileSync(file, "utf8")).to.equal(text);
          expect(statSync(file).mode & 0o777).to.equal(0o600);
        }
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });

    it("is no point when a list ends short, access is refused or the cluster is gone", async () => {
      const faults: [string, KubernetesProxy["change"]][] = [
        [
          "CAPTURE_INCOMPLETE",
          (url, answer) =>
            isList(url, "services") ? { ...answer, body: '{"kind":"ServiceList","metadata":{}}' } : answer,
        ],
        ["UNREACHABLE", (url, answer) => (isList(url, "secrets") ? { ...answer, cutAt: 100 } : answer)],
        ["ACCESS_DENIED", (url, answer) => (isList(url, "cronjobs") ? { status: 403, body: "{}" } : answer)],
        ["KUBERNETES_REFUSED", (url, answer) => (isList(url, "kiosks") ? { status: 500, body: "{}" } : answer)],
      ];
      for (const [code, change] of faults) {
        proxy.change = change;
        expect(await codeOf(capturedInto(onTheWay()))).to.equal(code);
        expect((await readCatalog(repository)).entries).to.deep.equal([]);
      }
    });

    it("is no point when the cluster lists nothing any more, unless that is meant", async () => {
      await capturedInto(onTheWay());
      const emptied: InfrastructureSource = {
        async *documents() {
          for await (const document of onTheWay().documents()) if (document.path === "images.json") yield document;
        },
      };
      expect(await codeOf(capturedInto(emptied))).to.equal("LINEAGE_BROKEN");
      expect((await capturedInto(emptied, true)).isCommitted).to.equal(true);
    });
  });

  describe("to an empty cluster", () => {
    let target: KubernetesServer;
    before(async () => {
      target = await KubernetesServer.start(etcd, "target");
    });
    after(() => target?.stop());

    it("plans to create everything, and changes nothing by planning", async () => {
      const request = await requestFor(target, objectsIn(captured));
      const plans = await planOf(request);
      expect(plans.filter(({ change, refusal }) => change !== "created" || refusal !== undefined)).to.deep.equal([]);
      expect(plans[0]?.title).to.equal("Namespace shop");
      expect(await request.cluster.hasNamespace("shop")).to.equal(false);
    });

    it("goes on where an application was cut off, and the documents captured there are the same", async () => {
      const objects = objectsIn(captured);
      for (const cut of [0, 1, 4, 5]) {
        const request = await requestFor(target, objects);
        const broken = { ...request, cluster: brokenAfter(request.cluster, cut) };
        expect(await codeOf(applied(broken)), `cut after ${cut}`).to.equal("UNREACHABLE");
      }
      const report = await applied(await requestFor(target, objects));
      expect(report.created + report.unchanged).to.equal(objects.length);
      const withoutPods = ([path]: readonly [string, string]) => path !== "images.json";
      expect([...(await capture(target))].filter(withoutPods)).to.deep.equal([...captured].filter(withoutPods));
    });

    it("has nothing to do the second time, and takes no fields", async () => {
      const report = await applied(await requestFor(target, objectsIn(captured)));
      expect(report).to.include({ created: 0, changed: 0, unchanged: objectsIn(captured).length });
    });
  });

  describe("to a cluster that went on", () => {
    let target: KubernetesServer;
    const path = "kubernetes/shop/Deployment.apps/web.json";
    const patch = (object: object, manager: string, query = "") =>
      target.call(
        "PATCH",
        `/apis/apps/v1/namespaces/shop/deployments/web?fieldManager=${manager}${query}`,
        { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web" }, ...object },
        "application/apply-patch+yaml",
      );
    const replicas = async () =>
      (await target.call("GET", "/apis/apps/v1/namespaces/shop/deployments/web")).body.spec.replicas;

    before(async () => {
      target = await KubernetesServer.start(etcd, "went-on");
      await applied(await requestFor(target, objectsIn(captured)));
      await patch({ spec: { replicas: 9 } }, "somebody", "&force=true");
      await patch({ metadata: { name: "web", labels: { later: "kept" } } }, "another");
    });
    after(() => target?.stop());

    it("shows each field that would change, from what to what, and whose it is", async () => {
      const [plan] = await planOf(await requestFor(target, objectsAt(path)));
      expect(plan?.change).to.equal("changed");
      expect(plan?.fields).to.deep.equal([{ field: ".spec.replicas", before: 9, after: 2 }]);
      expect(plan?.conflicts).to.deep.equal([{ field: ".spec.replicas", owner: "somebody" }]);
    });

    it("refuses, with field and owner, before it touches anything", async () => {
      const gone = "kubernetes/shop/ConfigMap/prices.json";
      await target.call("DELETE", "/api/v1/namespaces/shop/configmaps/prices");
      const error = await errorOf(applied(await requestFor(target, objectsAt(path, gone))));
      expect(error?.code).to.equal("APPLY_CONFLICT");
      expect(error?.message).to.equal("Deployment shop/web: .spec.replicas is set by somebody; nothing was changed");
      expect((await target.call("GET", "/api/v1/namespaces/shop/configmaps/prices")).status).to.equal(404);
      expect(await replicas()).to.equal(9);
    });

    it("takes contested fields over when it is forced, and keeps what came later", async () => {
      const report = await applied(await requestFor(target, objectsAt(path), true));
      expect(report).to.include({ created: 0, changed: 1 });
      const { body } = await target.call("GET", "/apis/apps/v1/namespaces/shop/deployments/web");
      expect([body.spec.replicas, body.metadata.labels.later]).to.deep.equal([2, "kept"]);
    });

    it("does not show the values of Secrets", async () => {
      const secret = "/api/v1/namespaces/shop/secrets/password";
      await target.call(
        "PATCH",
        `${secret}?fieldManager=qdrant-dr`,
        { data: { word: "b3RoZXI=" } },
        "application/merge-patch+json",
      );
      const [plan] = await planOf(await requestFor(target, objectsAt("kubernetes/shop/Secret/password.json")));
      expect(plan?.fields).to.deep.equal([{ field: ".data.word" }]);
    });

    it("refuses what the cluster does not take: an immutable field, a missing namespace, a missing kind", async () => {
      const [web] = objectsAt(path);
      const other = structuredClone(web) as unknown as { spec: Record<string, unknown> };
      other.spec["selector"] = { matchLabels: { app: "other" } };
      other.spec["template"] = { ...podOf("x"), metadata: { labels: { app: "other" } } };
      const inNowhere = { ...web, metadata: { name: "web", namespace: "nowhere" } };
      const unknown = { apiVersion: "example.org/v9", kind: "Nothing", metadata: { name: "x" } };
      const objects = [other, inNowhere, unknown] as unknown as KubernetesObject[];
      const error = await errorOf(applied(await requestFor(target, objects)));
      expect(error?.code).to.equal("KUBERNETES_REFUSED");
      expect(error?.message).to.contain("field is immutable");
      expect(error?.message).to.contain("there is no namespace nowhere, and the point holds none");
      expect(error?.message).to.contain("has no example.org/v9 Nothing");
      expect(error?.message).to.match(/nothing was changed$/);
    });

    it("finds out when what was applied is not what is there", async () => {
      const request = await requestFor(target, objectsAt(path), true);
      await patch({ spec: { replicas: 5 } }, "somebody", "&force=true");
      const stubborn = withApply(request.cluster, async (object, mode) => {
        const outcome = await request.cluster.apply(object, mode);
        if (!mode.isRehearsal) await patch({ spec: { replicas: 5 } }, "somebody", "&force=true");
        return outcome;
      });
      const error = await errorOf(applied({ ...request, cluster: stubborn }));
      expect(error?.code).to.equal("VERIFICATION_FAILED");
      expect(error?.message).to.contain("Deployment shop/web: .spec.replicas is not as captured");
    });
  });
});

const noDatabase = new Proxy({} as VectorDatabase, {
  get: (_, method) => {
    throw new Error(`Qdrant was asked for ${String(method)}`);
  },
});

function isList(url: string, plural: string): boolean {
  return new RegExp(`/${plural}\\?limit=`).test(url);
}

interface Wanted extends ApplyRequest {
  readonly objects: readonly KubernetesObject[];
}

function planOf({ cluster, objects }: Wanted) {
  return planApplication(cluster, objects);
}

async function applied(request: Wanted) {
  return applyInfrastructure(request, await planOf(request));
}

/** A cluster that is gone after so many applications. */
function brokenAfter(cluster: Cluster, applications: number): Cluster {
  let left = applications;
  return withApply(cluster, async (object, mode) => {
    if (!mode.isRehearsal && left === 0) throw new DrError("UNREACHABLE", "injected: the cluster is gone");
    if (!mode.isRehearsal) left -= 1;
    return cluster.apply(object, mode);
  });
}

function withApply(cluster: Cluster, apply: Cluster["apply"]): Cluster {
  return {
    name: cluster.name,
    serves: (kind) => cluster.serves(kind),
    hasNamespace: (name) => cluster.hasNamespace(name),
    objects: (kind, namespaces, selector) => cluster.objects(kind, namespaces, selector),
    object: (like) => cluster.object(like),
    apply,
  };
}

async function furnish(server: KubernetesServer): Promise<void> {
  const inShop = (plural: string) => `/api/v1/namespaces/shop/${plural}`;
  const group = (name: string, plural: string) => `/apis/${name}/namespaces/shop/${plural}`;
  await server.create("/api/v1/namespaces", { metadata: { name: "shop", labels: { team: "shop" } } });
  await server.create("/api/v1/namespaces", { metadata: { name: "elsewhere" } });
  await server.create("/api/v1/namespaces/elsewhere/configmaps", { metadata: { name: "not-ours" } });
  await server.create(inShop("configmaps"), {
    metadata: {
      name: "prices",
      annotations: { note: "kept", "kubectl.kubernetes.io/last-applied-configuration": "{}" },
    },
    data: { apple: "1" },
  });
  await server.create(inShop("configmaps"), {
    metadata: { name: "kube-root-ca.crt" },
    data: { "ca.crt": "of this cluster" },
  });
  await server.create(inShop("configmaps"), { metadata: { name: "leaving", finalizers: ["example.org/wait"] } });
  await server.call("DELETE", inShop("configmaps/leaving"));
  await server.create(inShop("secrets"), { metadata: { name: "password" }, data: { word: "c2VjcmV0" } });
  await server.create(inShop("serviceaccounts"), { metadata: { name: "web" } });
  await server.create(inShop("services"), {
    metadata: { name: "web" },
    spec: { selector: { app: "web" }, ports: [{ port: 80 }] },
  });
  await server.create(inShop("services"), {
    metadata: { name: "headless" },
    spec: { clusterIP: "None", selector: { app: "web" }, ports: [{ port: 6333 }] },
  });
  await server.create(inShop("persistentvolumeclaims"), {
    metadata: {
      name: "data",
      annotations: { "pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes" },
    },
    spec: {
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: "1Gi" } },
      volumeName: "pvc-made-up",
    },
  });
  await server.create(group("apps/v1", "deployments"), {
    metadata: { name: "web", labels: { tier: "front" } },
    spec: { replicas: 2, selector: { matchLabels: { app: "web" } }, template: podOf("example.org/web:1") },
  });
  const { body: deployment } = await server.call("GET", group("apps/v1", "deployments/web"));
  const owner = (apiVersion: string, kind: string, { name, uid }: { name: string; uid: string }) => ({
    ownerReferences: [{ apiVersion, kind, name, uid, controller: true }],
  });
  await server.create(group("apps/v1", "replicasets"), {
    metadata: { name: "web-5f7d", ...owner("apps/v1", "Deployment", deployment.metadata) },
    spec: { replicas: 2, selector: { matchLabels: { app: "web" } }, template: podOf("example.org/web:1") },
  });
  const { body: replicaSet } = await server.call("GET", group("apps/v1", "replicasets/web-5f7d"));
  await server.create(inShop("pods"), {
    metadata: {
      name: "web-5f7d-abcde",
      labels: { app: "web", "pod-template-hash": "5f7d" },
      ...owner("apps/v1", "ReplicaSet", replicaSet.metadata),
    },
    spec: podOf("example.org/web:1").spec,
  });
  const { body: pod } = await server.call("GET", inShop("pods/web-5f7d-abcde"));
  pod.status.containerStatuses = [
    { name: "web", image: "docker.io/other:1", imageID: `example.org/web@${digest}`, ready: true, restartCount: 0 },
  ];
  await server.call("PUT", inShop("pods/web-5f7d-abcde/status"), pod);
  await server.create(group("batch/v1", "cronjobs"), {
    metadata: { name: "nightly" },
    spec: {
      schedule: "0 3 * * *",
      jobTemplate: {
        spec: {
          template: { spec: { restartPolicy: "Never", containers: [{ name: "job", image: "example.org/job:1" }] } },
        },
      },
    },
  });
  const rbac = "/apis/rbac.authorization.k8s.io/v1";
  const rules = [{ apiGroups: [""], resources: ["configmaps"], verbs: ["get"] }];
  await server.create(`${rbac}/clusterroles`, { metadata: { name: "shop:reader" }, rules });
  await server.create(`${rbac}/clusterroles`, {
    metadata: { name: "all-roles" },
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { part: "of-all" } }] },
    rules,
  });
  await server.create(`${rbac}/namespaces/shop/rolebindings`, {
    metadata: { name: "reader" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "shop:reader" },
    subjects: [{ kind: "ServiceAccount", name: "web", namespace: "shop" }],
  });
  await server.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
    metadata: { name: "kiosks.example.org" },
    spec: {
      group: "example.org",
      scope: "Namespaced",
      names: { kind: "Kiosk", plural: "kiosks" },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: "object",
              properties: { spec: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
            },
          },
        },
      ],
    },
  });
  const kiosks = group("example.org/v1", "kiosks");
  while ((await server.call("GET", kiosks)).status !== 200);
  await server.create(kiosks, {
    apiVersion: "example.org/v1",
    kind: "Kiosk",
    metadata: { name: "corner" },
    spec: { open: true, wares: ["news", { kind: "sweets" }] },
  });
}
