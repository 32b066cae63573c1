/**
 * Proves what of monitoring a region in a cluster declares. That the operator's schemas take it is proven in test/contract/declared-objects.test.ts,
 * its alerts in test/contract/alerts.test.ts, its queries in test/workflows/exporter.test.ts.
 */
import { expect } from "chai";
import { roles } from "../../runtime/domain/roles/epoch.ts";
import {
  type DeclaredRegion,
  type DeclareOptions,
  RegionDeclarer,
  withoutDigests,
} from "../support/estates/kubernetes-region.ts";

// biome-ignore lint/suspicious/noExplicitAny: objects of several kinds, looked into by path
type Loose = any;

const operator = {
  namespace: "monitoring",
  labels: { release: "prometheus" },
  receiver: { kind: "pagerduty", secret: { name: "alerts", key: "routing" } },
};

const insideControls = [0, 1].map(
  (pod) => `http://qdrant-dr-gate-${pod}.qdrant-dr-gate-control.search.svc:6435/.qdrant-dr/gate`,
);

describe("monitoring of a region in a cluster", () => {
  let declarer: RegionDeclarer;
  before(() => {
    declarer = new RegionDeclarer();
  });

  const watched = (options: DeclareOptions = {}) =>
    declarer.declare({ ...options, kubernetes: { monitoring: { operator }, ...options.kubernetes } });

  it("is one child of the region, and not there unless it is asked for", async () => {
    const { name, resources } = await watched();
    const [region, ...others] = resources;
    const children = others.filter(({ parent }) => parent === region?.urn).map((child) => child.name);
    expect(children).to.include(`${name}-monitoring`).and.to.have.length.lessThan(12);
    const own = others.filter(({ parent }) => parent.endsWith(`::${name}-monitoring`));
    expect(own.map(titleOf).sort()).to.deep.equal([
      "AlertmanagerConfig qdrant-dr-exporter",
      "ConfigMap qdrant-dr-overview",
      "ConfigMap qdrant-dr-points",
      "Deployment qdrant-dr-exporter",
      "PodMonitor qdrant-dr-exporter",
      "PrometheusRule qdrant-dr-exporter",
    ]);
    const without = (await declarer.declare()).resources.map(titleOf).join("\n");
    expect(without).not.to.match(/monitor|Prometheus|Alertmanager|ConfigMap|Deployment qdrant-dr-exporter/i);
  });

  it("an exporter: one pod with an account and a Secret of its own, that is told of the other region's records alone", async () => {
    const declared = await watched();
    const { replicas, strategy, template } = object(declared, "Deployment", "qdrant-dr-exporter").spec;
    expect([replicas, strategy]).to.deep.equal([1, { type: "Recreate" }]);
    const { containers, serviceAccountName, volumes } = template.spec;
    expect(serviceAccountName).to.equal("qdrant-dr-exporter");
    expect(containers[0].args).to.deep.equal([
      ...["/app/qdrant-dr.mjs", "exporter", "--stack", "prod", "--host", "0.0.0.0", "--port", "9464"],
      ...["--outputs", "/etc/qdrant-dr/regions"],
    ]);
    expect(containers[0].ports).to.deep.equal([{ name: "metrics", containerPort: 9464 }]);
    for (const probe of ["readinessProbe", "livenessProbe"]) {
      expect(containers[0][probe].httpGet).to.deep.equal({ path: "/healthz", port: "metrics" });
    }
    expect(volumes.find(({ name }: Loose) => name === "regions").secret.secretName).to.equal(
      "qdrant-dr-exporter-regions",
    );
    const files = object(declared, "Secret", "qdrant-dr-exporter-regions").stringData;
    const [own, peer] = [JSON.parse(files["prod.json"]), JSON.parse(files["dr.json"])];
    expect(own.gate.controlUrls).to.deep.equal(insideControls);
    expect([own.qdrant.apiKey, own.keys.identity].map((secret) => secret.length > 0)).to.deep.equal([true, true]);
    expect(peer.qdrant).to.not.have.property("apiKey");
    expect(peer.keys).to.not.have.property("identity");
    expect(peer).to.not.have.property("gate");
  });

  it("asks the gate inside its cluster, whatever clients call it", async () => {
    const urls = ["http://10.0.0.1:6435", "http://10.0.0.2:6435"];
    const gate = { url: "https://search.example", control: { urls, cidrs: ["10.0.0.0/8"] } };
    const declared = await watched({ kubernetes: { gate } });
    const own = JSON.parse(object(declared, "Secret", "qdrant-dr-exporter-regions").stringData["prod.json"]);
    expect(own.gate.controlUrls).to.deep.equal(insideControls);
    expect(declared.outputs.gate?.controlUrls).to.deep.equal(urls.map((url) => `${url}/.qdrant-dr/gate`));
  });

  it("the operator's Prometheus scrapes it, and finds what is meant for it by its labels", async () => {
    const declared = await watched();
    for (const kind of ["PodMonitor", "PrometheusRule", "AlertmanagerConfig"]) {
      expect(object(declared, kind, "qdrant-dr-exporter").metadata).to.deep.include({ namespace: "search" });
      expect(object(declared, kind, "qdrant-dr-exporter").metadata.labels).to.include({ release: "prometheus" });
    }
    const { template } = object(declared, "Deployment", "qdrant-dr-exporter").spec;
    const { podMetricsEndpoints, selector } = object(declared, "PodMonitor", "qdrant-dr-exporter").spec;
    expect(template.metadata.labels).to.include(selector.matchLabels);
    expect(podMetricsEndpoints).to.deep.equal([{ port: "metrics", interval: "30s", scrapeTimeout: "10s" }]);
  });

  it("only that Prometheus reaches it, and of its own it reaches Qdrant, stores and the gate", async () => {
    const declared = await watched();
    const policy = (name: string) => object(declared, "NetworkPolicy", `qdrant-dr-${name}`).spec;
    expect(policy("exporter").ingress).to.deep.equal([
      {
        from: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "monitoring" } } }],
        ports: [{ protocol: "TCP", port: 9464 }],
      },
    ]);
    const { labels } = object(declared, "Deployment", "qdrant-dr-exporter").spec.template.metadata;
    for (const reached of ["qdrant", "stores", "gate"]) {
      expect(labels).to.include(policy(`reaches-${reached}`).podSelector.matchLabels);
    }
    expect(labels).not.to.have.property("qdrant-dr/reaches-kubernetes");
    expect(policy("gate-watched").ingress[0].from).to.deep.equal([
      { podSelector: { matchLabels: { "qdrant-dr/reaches-gate": "true" } } },
    ]);
  });

  it("limits follow from objectives and schedules", async () => {
    const expressions = async (options: DeclareOptions) => {
      const { groups } = object(await watched(options), "PrometheusRule", "qdrant-dr-exporter").spec;
      const alerts = groups.flatMap(({ rules }: Loose) => rules).filter(({ alert }: Loose) => alert !== undefined);
      return new Map<string, string>(alerts.map(({ alert, expr }: Loose) => [alert.replace("QdrantDr", ""), expr]));
    };
    const usual = await expressions({});
    const other = await expressions({
      settings: { objectives: { rtoMinutes: 30, rpoMinutes: 60 } },
      kubernetes: { schedules: { full: "0 2 * * 0" } },
    });
    expect(usual.get("RpoMissed")).to.contain("> 900 ");
    expect(other.get("RpoMissed")).to.contain("> 3600 ");
    // A day and two hours; a week and two hours.
    expect(usual.get("FullCaptureOverdue")).to.contain("> 93600)");
    expect(other.get("FullCaptureOverdue")).to.contain("> 612000)");
    expect(usual.get("StandbyBehind")).to.contain("> 300)");
    expect(other.get("StandbyBehind")).to.contain("> 1200)");
  });

  it("alerts go to the receiver of the settings, whose address no setting holds; or wherever Alertmanager leads them", async () => {
    const { receivers, route } = object(await watched(), "AlertmanagerConfig", "qdrant-dr-exporter").spec;
    expect(receivers).to.deep.equal([
      { name: "qdrant-dr", pagerdutyConfigs: [{ routingKey: { name: "alerts", key: "routing" }, sendResolved: true }] },
    ]);
    expect(route.matchers).to.deep.equal([
      { name: "alertname", matchType: "=~", value: "QdrantDr.+" },
      { name: "region", matchType: "=", value: "prod" },
    ]);
    const monitoring = { operator: { namespace: "monitoring" } };
    const without = await declarer.declare({ kubernetes: { monitoring } });
    expect(without.resources.map(titleOf).join()).not.to.contain("AlertmanagerConfig");
  });

  it("dashboards are the same text each time, that Grafana's sidecar finds, and their panels have places of their own", async () => {
    const maps = async (options?: DeclareOptions) =>
      (await watched(options)).resources
        .filter(({ inputs }) => inputs["kind"] === "ConfigMap")
        .map(({ inputs }) => inputs);
    const [first, again] = [await maps(), await maps()] as Loose;
    expect(first).to.deep.equal(again);
    for (const { data, metadata } of first) {
      expect(metadata.labels).to.include({ grafana_dashboard: "1" });
      const [[file, text]] = Object.entries(data) as [[string, string]];
      const { panels, uid } = JSON.parse(text);
      expect(file).to.equal(`${uid}.json`);
      const cells = panels.flatMap(({ gridPos: { h, w, x, y } }: Loose) =>
        Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`),
      );
      expect(new Set(cells).size).to.equal(cells.length);
      expect(panels.map(({ id }: Loose) => id)).to.deep.equal(panels.map((_: unknown, index: number) => index + 1));
      for (const { gridPos } of panels) expect(gridPos.x + gridPos.w).to.be.at.most(24);
    }
    const [named] = (await maps({
      kubernetes: { monitoring: { operator, dashboardLabels: { dashboards: "yes" } } },
    })) as Loose;
    expect(named.metadata.labels).to.include({ dashboards: "yes" }).and.not.have.property("grafana_dashboard");
  });

  it("nothing of it changes with the role", async () => {
    const ofRole = async (role: (typeof roles)[number]) => {
      const { name, resources } = await watched({ role });
      const own = resources.filter(({ parent }) => parent.endsWith(`::${name}-monitoring`));
      return own.map(withoutDigests);
    };
    const active = await ofRole("active");
    for (const role of roles) expect(await ofRole(role)).to.deep.equal(active);
  });
});

function titleOf({ inputs }: DeclaredRegion["resources"][number]): string {
  return `${inputs["kind"]} ${(inputs["metadata"] as Loose)?.name}`;
}

function object({ resources }: DeclaredRegion, kind: string, name: string): Loose {
  const found = resources.find((resource) => titleOf(resource) === `${kind} ${name}`);
  if (found === undefined) throw new Error(`no ${kind} ${name}`);
  return found.inputs;
}
