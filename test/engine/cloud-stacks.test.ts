/**
 * The life of the stacks in the cloud by the real engine. The providers are stand-ins (test/support/providers), AWS is an
 * emulator and the clusters have no controllers: what is proven is what the programs ask for and when, and nothing of AWS,
 * of the real providers, or of what runs afterwards.
 */
import { CreateClusterCommand, EKSClient } from "@aws-sdk/client-eks";
import { CreateHostedZoneCommand, ListResourceRecordSetsCommand, Route53Client } from "@aws-sdk/client-route-53";
import { expect } from "chai";
import { S3Store } from "../../runtime/adapters/stores/s3-store.ts";
import { RegionAccess } from "../../runtime/composition/region-access.ts";
import { regionForPeer } from "../../runtime/domain/region-for-peer.ts";
import type { DrError } from "../../runtime/errors.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { CloudEstate, type RegionName, regionNames, up } from "../support/estates/cloud-estate.ts";
import { signed } from "../support/estates/test-trust.ts";
import { awsAccount } from "../support/servers/aws-emulator.ts";
import { executablePolicyPack } from "../support/stacks/policy-pack.ts";

// biome-ignore lint/suspicious/noExplicitAny: objects of a dozen kinds and outputs of stacks, looked into by path
type Loose = any;

describe("stacks in the cloud", function () {
  this.timeout(300_000);
  let estate: CloudEstate;
  /** Of the public name. */
  let zone: string;
  /** By region, what the bootstrap program tells of it. */
  let foundation: Record<RegionName, Loose>;

  before("bootstrap, and the first epoch", async () => {
    estate = await CloudEstate.start();
    await up(estate.bootstrap, "estate");
    foundation = (await estate.bootstrapOutput("regions")) as typeof foundation;
    await claim(1, "prod");
    const client = new EKSClient(atEmulator("eu-central-1"));
    const roleArn = `arn:aws:iam::${awsAccount}:role/cluster`;
    await client.send(new CreateClusterCommand({ name: "search", roleArn, resourcesVpcConfig: {} }));
    client.destroy();
    const zoneId = await makeZone();
    const traffic = { zoneId, url: "https://search.example.org" };
    const ways = { prod: { podIdentity: { name: "search" } }, dr: { irsa: { issuer: "oidc.example.org/id/ONE" } } };
    const userData = [{ name: "files", path: "/srv/files" }];
    for (const region of regionNames) {
      const { aws, stores } = foundation[region];
      await estate.init(region, { stores, userData, aws: { ...aws, cluster: ways[region], traffic } });
      estate.edit(region, (text) => text.replace(/( +)everySeconds: .*/, "$&\n$1folders: true"));
    }
  });
  after(() => estate?.stop());

  it("an `up` that may not make everything, then one that is killed: the next one completes what they began", async () => {
    await grantAllBut("batch");
    estate.actAs("guest");
    const refused = await failure(up(estate.stacks, "dr"));
    expect(refused).to.include({ code: "PULUMI_FAILED", exitCode: 20 });
    expect(refused.message).to.match(/cronjobs.* is forbidden/);
    estate.actAs("admin");

    let killed: Promise<void> | undefined;
    await failure(
      up(estate.stacks, "dr", (text) => {
        if (text.startsWith("create dr-schedules-")) killed ??= estate.killUpdates();
      }),
    );
    expect(killed).to.be.instanceOf(Promise);
    await killed;
    const before = await objectsIn("dr");

    await up(estate.stacks, "dr");
    const after = await objectsIn("dr");
    expect(namesOf(after, "cronjobs")).to.deep.equal([
      "drill",
      "full",
      "incremental",
      "prune",
      "test-restore",
      "verify",
    ]);
    for (const [title, { uid }] of before) expect(after.get(title)?.uid, title).to.equal(uid);
  });

  it("told of each other, both regions have copies and a replicator, of which one runs", async () => {
    await up(estate.stacks, "prod");
    for (const region of regionNames) {
      const other = await estate.stacks.region(region === "prod" ? "dr" : "prod");
      await estate.setSecrets(region, { peer: regionForPeer(other, { store: undefined, qdrant: undefined }) });
    }
    await inBoth(async (region) => {
      const before = await objectsIn(region);
      await up(estate.stacks, region);
      expect(changed(before, await objectsIn(region))).to.deep.equal([
        ...["copy", "drill", "full", "incremental", "prune", "test-restore", "verify"].map(
          (name) => `cronjobs/qdrant-dr-${name}`,
        ),
        "deployments/qdrant-dr-exporter",
        "deployments/qdrant-dr-prune-stream",
        "deployments/qdrant-dr-replicate",
        "deployments/qdrant-dr-replicate-folders",
        "networkpolicies/qdrant-dr-reaches-stores",
        "prometheusrules/qdrant-dr-exporter",
        // Everybody believes the other region's jobs from now on.
        ...["capture", "copy", "exporter"].map((job) => `secrets/qdrant-dr-${job}-regions`),
        "secrets/qdrant-dr-gate",
        ...["prune", "prune-stream", "replicate-folders", "replicate", "restore-folders", "test-restore", "verify"].map(
          (job) => `secrets/qdrant-dr-${job}-regions`,
        ),
        "serviceaccounts/qdrant-dr-copy",
        "serviceaccounts/qdrant-dr-replicate",
        "serviceaccounts/qdrant-dr-replicate-folders",
        "statefulsets/qdrant-dr-gate",
      ]);
    });
    expect(await whatRuns()).to.deep.equal(whatRunsWhen("prod"));
  });

  it("shows few things at the top of a stack, and no secret in its state", async () => {
    for (const region of regionNames) {
      const { state } = await estate.stacks.exportState(region);
      const { resources } = JSON.parse(state).deployment;
      const component = resources.find(({ type }: Loose) => type === "qdrant-dr:index:KubernetesRegion");
      const children = resources.filter(({ parent }: Loose) => parent === component.urn);
      expect(children.length).to.be.within(5, 12);

      const { keys, qdrant } = await estate.stacks.region(region);
      const secrets = [keys.identity, qdrant.apiKey].filter((secret) => secret !== undefined);
      expect(secrets).to.have.length(2);
      for (const secret of secrets) {
        for (const written of [secret, Buffer.from(secret).toString("base64")]) {
          expect(state.includes(written), region).to.equal(false);
        }
      }
    }
  });

  it("once more nothing changes, and every rule of the policy pack is kept", async () => {
    const pack = executablePolicyPack(estate.folder);
    await inBoth(async (region) => {
      const said = await estate.upUnchanged(region, pack);
      expect(said).to.match(/Policies:\n.*✅/);
      expect(said).to.contain("RPO from copied recovery points alone: 480 min");
    });
  });

  it("a changed setting touches just what it is about", async () => {
    const before = await objectsIn("prod");
    estate.edit("prod", (text) => text.replace(/( +)replicate:/, '$1schedules: { full: "0 3 * * *" }\n$&'));
    const { events } = await up(estate.stacks, "prod");
    expect(events).to.deep.equal(["update prod-schedules-full"]);
    const after = await objectsIn("prod");
    expect(changed(before, after)).to.deep.equal(["cronjobs/qdrant-dr-full"]);
    expect(after.get("cronjobs/qdrant-dr-full")?.spec.schedule).to.equal("0 3 * * *");
  });

  it("what was taken away behind the stack's back is made again, what changes and what does not", async () => {
    const gone = ["cronjobs/qdrant-dr-full", "statefulsets/qdrant", "deployments/qdrant-dr-exporter"];
    const lists = { cronjobs: "batch", statefulsets: "apps", deployments: "apps" } as Record<string, string>;
    const before = await objectsIn("prod");
    for (const title of gone) {
      const [kind = "", name] = title.split("/");
      await estate.clusters.prod.call("DELETE", `/apis/${lists[kind]}/v1/namespaces/qdrant/${kind}/${name}`);
    }
    estate.edit("prod", (text) => text.replace("0 3 * * *", "0 1 * * *"));
    const refused = await failure(up(estate.stacksAsRemembered, "prod"));
    expect(refused.message).to.contain("not found");
    await up(estate.stacks, "prod");
    const after = await objectsIn("prod");
    expect([...after.keys()].sort()).to.deep.equal([...before.keys()].sort());
    for (const title of gone) expect(after.get(title)?.uid, title).not.to.equal(before.get(title)?.uid);
  });

  it("roles follow the epoch records, there and back, and nothing that serves is touched; clients are led there without an `up`", async () => {
    for (const [epoch, active] of [
      [2, "dr"],
      [3, "prod"],
    ] as const) {
      // Of the first one, the other region could not be told: its `up` finds it where it was made.
      await claim(epoch, active, epoch === 2 ? [active] : regionNames);
      await withAwsOfTheTest(async () => {
        const access = new RegionAccess(await estate.stacks.region(active));
        await access.traffic().pointTo({ region: active, epoch });
      });
      const weights = { [active]: 100, [active === "prod" ? "dr" : "prod"]: 0 };
      expect(await weightsOfTheName()).to.deep.equal(weights);
      await inBoth(async (region) => {
        const before = await objectsIn(region);
        await up(estate.stacks, region);
        expect(changed(before, await objectsIn(region))).to.deep.equal([
          "cronjobs/qdrant-dr-copy",
          "cronjobs/qdrant-dr-drill",
          "cronjobs/qdrant-dr-full",
          "cronjobs/qdrant-dr-incremental",
          "deployments/qdrant-dr-replicate",
          "deployments/qdrant-dr-replicate-folders",
          ...["capture", "copy", "exporter", "prune", "prune-stream"].map((job) => `secrets/qdrant-dr-${job}-regions`),
          ...["replicate-folders", "replicate", "restore-folders", "test-restore", "verify"].map(
            (job) => `secrets/qdrant-dr-${job}-regions`,
          ),
        ]);
        const role = region === active ? "active" : "fenced";
        expect(await estate.stacks.region(region)).to.include({ role, epoch });
      });
      expect(await whatRuns()).to.deep.equal(whatRunsWhen(active));
      expect(await weightsOfTheName()).to.deep.equal(weights);
    }
  });

  it("`destroy` of a region keeps the namespace with its volumes", async () => {
    // As the StatefulSet's controller makes them.
    await estate.clusters.dr.create("/api/v1/namespaces/qdrant/persistentvolumeclaims", {
      metadata: { name: "storage-qdrant-0" },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
    });
    await estate.stacks.destroy("dr");
    expect([...(await objectsIn("dr")).keys()]).to.deep.equal([
      "namespaces/qdrant",
      "persistentvolumeclaims/storage-qdrant-0",
    ]);
  });

  /** By region, what runs by itself. */
  async function whatRuns(): Promise<Record<RegionName, string[]>> {
    const running = async (region: RegionName) => {
      const objects = [...(await objectsIn(region))];
      const runs = objects.filter(([, { spec }]) => spec?.suspend === false || spec?.replicas > 0);
      return runs.map(([title]) => title.replace("qdrant-dr-", ""));
    };
    return { prod: await running("prod"), dr: await running("dr") };
  }

  function whatRunsWhen(active: RegionName): Record<RegionName, string[]> {
    const servers = ["statefulsets/qdrant", "statefulsets/gate"];
    const checks = ["cronjobs/prune", "cronjobs/test-restore", "cronjobs/verify"];
    const serves = [
      "deployments/exporter",
      "deployments/prune-stream",
      "deployments/replicate-folders",
      ...servers,
      "cronjobs/full",
      "cronjobs/incremental",
      ...checks,
    ];
    const follows = [
      "deployments/exporter",
      "deployments/prune-stream",
      "deployments/replicate",
      ...servers,
      "cronjobs/copy",
      "cronjobs/drill",
      ...checks,
    ];
    return active === "prod" ? { prod: serves, dr: follows } : { prod: follows, dr: serves };
  }

  /** Told to both regions, as a failover does when it can. */
  async function claim(epoch: number, active: RegionName, to: readonly RegionName[] = regionNames): Promise<void> {
    const previous = epoch === 1 ? {} : { previous: active === "prod" ? "dr" : "prod" };
    const reason = epoch === 1 ? ("initial" as const) : ("switchover" as const);
    const at = new Date().toISOString();
    for (const region of to) {
      const { credentials, endpoint } = atEmulator("");
      const store = new S3Store({ kind: "s3", ...foundation[region].stores.control, credentials, endpoint });
      await claimEpoch(signed(store, region, "control"), { epoch, active, ...previous, reason, run: "r", at });
    }
  }

  async function makeZone(): Promise<string> {
    const client = new Route53Client(atEmulator("us-east-1"));
    const { HostedZone } = await client.send(
      new CreateHostedZoneCommand({ Name: "example.org", CallerReference: "1" }),
    );
    client.destroy();
    zone = (HostedZone?.Id ?? "").replace("/hostedzone/", "");
    return zone;
  }

  async function weightsOfTheName(): Promise<Record<string, number | undefined>> {
    const client = new Route53Client(atEmulator("us-east-1"));
    const { ResourceRecordSets = [] } = await client.send(new ListResourceRecordSetsCommand({ HostedZoneId: zone }));
    client.destroy();
    const records = ResourceRecordSets.filter(({ Name }) => Name === "search.example.org.");
    return Object.fromEntries(records.map(({ SetIdentifier, Weight }) => [SetIdentifier, Weight]));
  }

  /** An operator's surroundings. */
  async function withAwsOfTheTest(act: () => Promise<void>): Promise<void> {
    const before = { ...process.env };
    Object.assign(process.env, estate.emulator.env);
    try {
      await act();
    } finally {
      for (const name of Object.keys(estate.emulator.env)) {
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
      }
    }
  }

  function atEmulator(region: string) {
    const endpoint = estate.emulator.env["AWS_ENDPOINT_URL"] ?? "";
    return { region, endpoint, credentials: { accessKeyId: "test", secretAccessKey: "test" } };
  }

  /** The guest may do everything in dr's cluster but what is in one group. */
  async function grantAllBut(group: string): Promise<void> {
    const groups = ["", "apps", "batch", "monitoring.coreos.com", "networking.k8s.io", "policy"].filter(
      (each) => each !== group,
    );
    const rbac = "/apis/rbac.authorization.k8s.io/v1";
    await estate.clusters.dr.create(`${rbac}/clusterroles`, {
      metadata: { name: "of-the-guest" },
      rules: [{ apiGroups: groups, resources: ["*"], verbs: ["*"] }],
    });
    await estate.clusters.dr.create(`${rbac}/clusterrolebindings`, {
      metadata: { name: "of-the-guest" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "of-the-guest" },
      subjects: [{ kind: "User", name: "guest" }],
    });
  }

  /** Every object in the region's namespace, and the namespace, by "<kind>/<name>". */
  async function objectsIn(region: RegionName): Promise<Map<string, KubernetesObject>> {
    const namespaced = [
      ["/api/v1", "configmaps", "persistentvolumeclaims", "secrets", "serviceaccounts", "services"],
      ["/apis/apps/v1", "deployments", "statefulsets"],
      ["/apis/batch/v1", "cronjobs"],
      ["/apis/monitoring.coreos.com/v1", "podmonitors", "prometheusrules"],
      ["/apis/monitoring.coreos.com/v1alpha1", "alertmanagerconfigs"],
      ["/apis/networking.k8s.io/v1", "networkpolicies"],
      ["/apis/policy/v1", "poddisruptionbudgets"],
    ] as const;
    const paths = namespaced.flatMap(([root, ...kinds]) =>
      kinds.map((kind) => [kind, `${root}/namespaces/qdrant/${kind}`] as const),
    );
    const found = new Map<string, KubernetesObject>();
    for (const [kind, path] of [["namespaces", "/api/v1/namespaces"] as const, ...paths]) {
      const { body } = await estate.clusters[region].call("GET", path);
      for (const { metadata, spec } of body.items) {
        const { name, resourceVersion, uid } = metadata;
        if (kind !== "namespaces" || name === "qdrant") found.set(`${kind}/${name}`, { resourceVersion, spec, uid });
      }
    }
    return found;
  }
});

interface KubernetesObject {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly spec: Loose;
}

/** Titles of what is not as it was. */
function changed(
  before: ReadonlyMap<string, KubernetesObject>,
  after: ReadonlyMap<string, KubernetesObject>,
): string[] {
  const titles = [...new Set([...before.keys(), ...after.keys()])].sort();
  return titles.filter((title) => before.get(title)?.resourceVersion !== after.get(title)?.resourceVersion);
}

function inBoth(act: (region: RegionName) => Promise<void>): Promise<unknown> {
  return Promise.all(regionNames.map(act));
}

function namesOf(objects: ReadonlyMap<string, KubernetesObject>, kind: string): string[] {
  const prefix = `${kind}/qdrant-dr-`;
  return [...objects.keys()].filter((title) => title.startsWith(prefix)).map((title) => title.slice(prefix.length));
}

function failure(act: Promise<unknown>): Promise<DrError> {
  return act.then(
    () => expect.fail("it did not fail"),
    (error: DrError) => error,
  );
}
