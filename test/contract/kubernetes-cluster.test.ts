/** What the adapter of Kubernetes promises, on a real API server. */
import { join } from "node:path";
import { expect } from "chai";
import { KubernetesCluster } from "../../runtime/adapters/kubernetes/kubernetes-cluster.ts";
import { documentText } from "../../runtime/domain/exact-json.ts";
import { apiResourceOf } from "../../runtime/domain/infrastructure/api-resources.ts";
import type { KubernetesObject } from "../../runtime/domain/infrastructure/kubernetes-object.ts";
import { allOf } from "../support/all-of.ts";
import { codeOf, errorOf } from "../support/expect-code.ts";
import { asItIs, type KubernetesProxy, kubernetesProxy } from "../support/servers/kubernetes-proxy.ts";
import { EtcdServer, KubernetesServer } from "../support/servers/kubernetes-server.ts";

const configMap = { apiVersion: "v1", kind: "ConfigMap" };
const objectsInPage = 3;

describe("Kubernetes on a real API server", function () {
  this.timeout(120_000);
  let etcd: EtcdServer;
  let server: KubernetesServer;
  let proxy: KubernetesProxy;

  before(async () => {
    etcd = await EtcdServer.start();
    server = await KubernetesServer.start(etcd, "contract");
    proxy = await kubernetesProxy(server);
    for (const name of ["many", "few", "none"]) await server.create("/api/v1/namespaces", { metadata: { name } });
    for (let index = 0; index < 8; index += 1) {
      const metadata = { name: `map-${index}`, labels: { parity: index % 2 === 0 ? "even" : "odd" } };
      await server.create("/api/v1/namespaces/many/configmaps", { metadata, data: { index: String(index) } });
    }
    await server.create("/api/v1/namespaces/few/configmaps", { metadata: { name: "lonely" } });
  });
  after(async () => {
    await proxy?.stop();
    await server?.stop();
    await etcd?.stop();
  });
  afterEach(() => {
    proxy.change = asItIs;
  });

  const opened = (kubeconfig = server.kubeconfig) => KubernetesCluster.open({ kubeconfig }, objectsInPage);
  const listed = async (namespaces: string[], selector?: string) =>
    (await allOf((await opened(proxy.kubeconfig)).objects(configMap, namespaces, selector))).map(
      ({ metadata }) => metadata.name,
    );
  const expected = Array.from({ length: 8 }, (_, index) => `map-${index}`);

  it("lists every object of several pages and namespaces once, with its kind", async () => {
    const objects = await allOf((await opened()).objects(configMap, ["many", "none", "few"]));
    expect(objects.map(({ metadata }) => metadata.name)).to.deep.equal([...expected, "lonely"]);
    expect(objects[5]).to.deep.include({ apiVersion: "v1", kind: "ConfigMap", data: { index: "5" } });
  });

  it("lists what a selector selects, also over several pages", async () => {
    expect(await listed(["many"], "parity=odd")).to.deep.equal(["map-1", "map-3", "map-5", "map-7"]);
  });

  it("serves each kind that is known without settings by the name and in the scope that access is given by, and no other kind", async () => {
    const groups: { versions: { groupVersion: string }[] }[] = (await server.call("GET", "/apis")).body.groups;
    const versions = groups.flatMap(({ versions: ofGroup }) => ofGroup.map(({ groupVersion }) => groupVersion));
    let compared = 0;
    for (const apiVersion of ["v1", ...versions]) {
      const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
      const served: { kind: string; name: string; namespaced: boolean; verbs: string[] }[] = (
        await server.call("GET", root)
      ).body.resources;
      for (const { kind, name, namespaced, verbs } of served) {
        if (name.includes("/") || !verbs.includes("list")) continue;
        const scope = namespaced ? "Namespaced" : "Cluster";
        expect(apiResourceOf({ apiVersion, kind }), `${apiVersion} ${kind}`).to.deep.equal({ resource: name, scope });
        compared += 1;
      }
    }
    expect(compared).to.be.greaterThan(50);
  });

  it("lists objects that belong to no namespace, whatever the namespaces", async () => {
    const names = (await allOf((await opened()).objects({ apiVersion: "v1", kind: "Namespace" }, ["none"]))).map(
      ({ metadata }) => metadata.name,
    );
    expect(names).to.include.members(["default", "kube-system", "many", "few", "none"]);
  });

  it("refuses a list whose way to the next page is lost", async () => {
    proxy.change = (url, answer) => {
      if (!url.includes("continue=")) return answer;
      const body = JSON.parse(answer.body);
      delete body.metadata.continue;
      return { ...answer, body: JSON.stringify(body) };
    };
    const error = await errorOf(listed(["many"]));
    expect(error?.code).to.equal("CAPTURE_INCOMPLETE");
    expect(error?.message).to.equal("the list of ConfigMap is not whole: 2 objects are left");
  });

  it("refuses a page that lacks objects", async () => {
    proxy.change = (url, answer) => {
      if (!url.includes("continue=")) return answer;
      const body = JSON.parse(answer.body);
      body.items.pop();
      return { ...answer, body: JSON.stringify(body) };
    };
    expect((await errorOf(listed(["many"])))?.message).to.equal(
      "the list of ConfigMap is not whole: 5 objects were left, and 4 came",
    );
  });

  it("refuses pages of different states", async () => {
    proxy.change = (url, answer) =>
      url.includes("continue=")
        ? { ...answer, body: answer.body.replace(/"resourceVersion":"\d+"/, '"resourceVersion":"1"') }
        : answer;
    expect(await codeOf(listed(["many"]))).to.equal("CAPTURE_INCOMPLETE");
  });

  it("refuses an answer that is cut, and one that is cut without a sign of it", async () => {
    proxy.change = (url, answer) => (url.includes("limit=") ? { ...answer, cutAt: 700 } : answer);
    expect(await codeOf(listed(["many"]))).to.equal("UNREACHABLE");
    proxy.change = (url, answer) =>
      url.includes("limit=") ? { ...answer, body: answer.body.slice(0, answer.body.length / 2) } : answer;
    expect(await codeOf(listed(["many"]))).to.equal("UNREACHABLE");
    proxy.change = (url, answer) =>
      url.includes("limit=") ? { ...answer, body: '{"kind":"ConfigMapList","metadata":{}}' } : answer;
    expect(await codeOf(listed(["many"]))).to.equal("CAPTURE_INCOMPLETE");
  });

  it("refuses a list whose continuation has expired, as the server says it", async () => {
    let page = 0;
    proxy.change = (url, answer) => {
      if (!url.includes("limit=")) return answer;
      page += 1;
      const gone = '{"kind":"Status","code":410,"reason":"Expired","message":"the continue parameter is too old"}';
      return page === 3 ? { status: 410, body: gone } : answer;
    };
    const error = await errorOf(listed(["many"]));
    expect(error?.code).to.equal("CAPTURE_INCOMPLETE");
    expect(error?.retryable).to.equal(true);
  });

  it("asks a busy server again", async () => {
    let busy = 2;
    proxy.change = (url, answer) => {
      if (!url.includes("limit=") || busy === 0) return answer;
      busy -= 1;
      return { status: 429, body: "{}" };
    };
    expect(await listed(["few"])).to.deep.equal(["lonely"]);
    expect(busy).to.equal(0);
  });

  it("names the kind that the account may not list, and the account that is not known", async () => {
    const guest = server.writeKubeconfig(join(server.folder, "guest.kubeconfig"), { user: "guest" });
    const error = await errorOf(
      opened(guest).then((cluster) => allOf(cluster.objects({ apiVersion: "apps/v1", kind: "Deployment" }, ["many"]))),
    );
    expect(error?.code).to.equal("ACCESS_DENIED");
    expect(error?.message).to.match(/^may not list Deployment\.apps: .*"guest" cannot list .* in the namespace "many"/);
    const stranger = server.writeKubeconfig(join(server.folder, "stranger.kubeconfig"), { user: "stranger" });
    const refusal = await errorOf(opened(stranger).then((cluster) => cluster.hasNamespace("many")));
    expect(refusal?.message).to.match(/^test \(https:.*\) does not accept the credentials$/);
  });

  it("tells a context and a kubeconfig that are not there, and a cluster that does not answer", async () => {
    const { kubeconfig } = server;
    const context = await errorOf(KubernetesCluster.open({ kubeconfig, context: "elsewhere" }));
    expect(context?.message).to.equal("infrastructure.kubernetes.context: there is no elsewhere");
    expect(context?.hint).to.equal("the kubeconfig has test");
    expect(await codeOf(opened(join(server.folder, "no-such-file")))).to.equal("SETTING_INVALID");
    const away = server.writeKubeconfig(join(server.folder, "away.kubeconfig"), {
      server: "https://127.0.0.1:1",
      user: "admin",
    });
    expect(await codeOf(opened(away).then((cluster) => cluster.hasNamespace("many")))).to.equal("UNREACHABLE");
  });

  it("keeps integers that JavaScript cannot hold, and fields that no client knows", async () => {
    await server.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
      metadata: { name: "meters.example.org" },
      spec: {
        group: "example.org",
        scope: "Namespaced",
        names: { kind: "Meter", plural: "meters" },
        versions: [
          {
            name: "v1",
            served: true,
            storage: true,
            schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
          },
        ],
      },
    });
    const cluster = await opened();
    const meter = { apiVersion: "example.org/v1", kind: "Meter" };
    while (!(await cluster.serves(meter)));
    const object = {
      ...meter,
      metadata: { name: "m", namespace: "many" },
      spec: { unheardOf: [{ deep: true }] },
      count: (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON("9007199254740993"),
    } as KubernetesObject;
    expect((await cluster.apply(object, { force: false, isRehearsal: false })).outcome).to.equal("applied");
    const [back] = await allOf(cluster.objects(meter, ["many"]));
    expect(documentText(back)).to.match(/"count": 9007199254740993,/);
    expect(back?.["spec"]).to.deep.equal({ unheardOf: [{ deep: true }] });
  });

  it("tells which field is whose when an application conflicts, and takes it over only when forced", async () => {
    const cluster = await opened();
    const metadata = { name: "contested", namespace: "few" };
    const path = "/api/v1/namespaces/few/configmaps/contested?fieldManager=somebody";
    const theirs = { ...configMap, metadata, data: { colour: "green", shape: "round" } };
    await server.call("PATCH", path, theirs, "application/apply-patch+yaml");
    const ours = { ...theirs, data: { colour: "red", shape: "round" } };
    for (const isRehearsal of [true, false]) {
      expect(await cluster.apply(ours, { force: false, isRehearsal })).to.deep.equal({
        outcome: "conflict",
        conflicts: [{ field: ".data.colour", owner: "somebody" }],
      });
    }
    expect((await cluster.apply(ours, { force: true, isRehearsal: true })).outcome).to.equal("applied");
    expect((await cluster.object(ours))?.["data"]).to.deep.equal(theirs.data);
    expect((await cluster.apply(ours, { force: true, isRehearsal: false })).outcome).to.equal("applied");
    expect((await cluster.object(ours))?.["data"]).to.deep.equal(ours.data);
  });

  it("says why the server does not take an object", async () => {
    const cluster = await opened();
    const bad = { ...configMap, metadata: { name: "Not A Name", namespace: "few" } };
    const outcome = await cluster.apply(bad, { force: false, isRehearsal: true });
    expect(outcome.outcome === "refused" && outcome.reason).to.contain("Invalid value");
  });
});
