import { createHash } from "node:crypto";
/**
 * Proves which objects a region in a cluster declares, with which inputs, parents and secrets. That a Kubernetes API takes them is
 * proven in test/contract/declared-objects.test.ts, and their life in test/engine.
 */
import { expect } from "chai";
import { runCli } from "../../runtime/cli.ts";
import { compose } from "../../runtime/composition/compose.ts";
import { jobs } from "../../runtime/domain/job-names.ts";
import { regionSchema } from "../../runtime/domain/region.ts";
import type { EpochRecord } from "../../runtime/domain/roles/epoch.ts";
import { type Role, roles } from "../../runtime/domain/roles/epoch.ts";
import {
  apiKeyOf,
  awsSettings,
  capturedObjects,
  clientKey,
  type DeclaredRegion,
  folderSettings,
  identity,
  productImage,
  qdrantImage,
  RegionDeclarer,
  storeSecret,
  withoutDigests,
} from "../support/estates/kubernetes-region.ts";
import { one, type Registration } from "../support/stacks/recorded-resources.ts";

// biome-ignore lint/suspicious/noExplicitAny: objects of a dozen kinds, looked into by path
type Loose = any;

const afterFailover: EpochRecord = {
  ...{ epoch: 4, active: "prod", previous: "dr", reason: "failover", run: "r", at: "2026-05-01T00:00:00.000Z" },
};

/** Jobs whose pods are told of regions. */
const toldJobs = [
  "capture",
  "copy",
  "prune",
  "prune-stream",
  "replicate",
  "replicate-folders",
  "restore-folders",
  "test-restore",
  "verify",
];

/** Of a region that replicates no folders and is not monitored. */
const fewerJobs = jobs.filter((job) => !["replicate-folders", "restore-folders", "exporter"].includes(job));

const restrictedNow = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
};

describe("KubernetesRegion", () => {
  let declarer: RegionDeclarer;
  before(() => {
    declarer = new RegionDeclarer();
  });

  it("shows few children, each named after its parent, and nothing without a parent", async () => {
    const { name, resources } = await declarer.declare();
    const [region, ...others] = resources;
    expect(region).to.include({ type: "qdrant-dr:index:KubernetesRegion", name, parent: "" });
    const children = others.filter(({ parent }) => parent === region?.urn);
    expect(children.map((child) => child.name.slice(name.length + 1)).sort()).to.deep.equal(
      ["accounts", "gate", "namespace", "network", "qdrant", "regions", "replicator", "schedules", "signing"],
      "what `pulumi up` shows",
    );
    for (const { name: child, parent } of others) {
      expect(parent, child).not.to.equal("");
      const parentName = parent.split("::").at(-1) ?? "";
      expect(child.startsWith(`${parentName}-`), `${child} below ${parentName}`).to.equal(true);
    }
  });

  it("makes its namespace for restricted pods alone, and keeps it with Qdrant's volumes; or takes one that is there", async () => {
    const made = object(await declarer.declare(), "Namespace", "search");
    expect(made.retainOnDelete).to.equal(true);
    expect((made.inputs["metadata"] as Loose).labels).to.include({
      "pod-security.kubernetes.io/enforce": "restricted",
    });
    const adopted = await declarer.declare({ kubernetes: { createNamespace: false } });
    expect(adopted.resources.some(({ inputs }) => inputs["kind"] === "Namespace")).to.equal(false);
    for (const { inputs } of objects(adopted)) expect((inputs["metadata"] as Loose).namespace).to.equal("search");
  });

  it("every object has a name and a namespace of its own choice", async () => {
    const titles = objects(await declarer.declare({ role: "standby" })).map(titleOf);
    expect(new Set(titles).size).to.equal(titles.length);
    expect(titles.filter((title) => title.includes("undefined"))).to.deep.equal([]);
  });

  it("every pod is restricted: no root, no capability, nothing to write to but volumes, no account's token that is not used", async () => {
    const { kubernetes, settings } = folderSettings;
    const declared = await declarer.declare({
      role: "standby",
      kubernetes,
      settings: { ...settings, infrastructure: capturedObjects },
    });
    const pods = objects(declared).flatMap(podOf);
    expect(pods.length).to.equal(12);
    for (const [title, { automountServiceAccountToken, containers, initContainers = [], securityContext }] of pods) {
      expect(securityContext, title).to.deep.include({
        runAsNonRoot: true,
        seccompProfile: { type: "RuntimeDefault" },
      });
      for (const container of [...containers, ...initContainers]) {
        expect(container.securityContext, title).to.deep.equal(restrictedNow);
        expect(container.image).to.be.oneOf([productImage, qdrantImage]);
        expect(container.resources, title).to.have.nested.property("limits.memory");
        expect(container.resources, title).to.have.nested.property("requests.cpu");
      }
      expect(automountServiceAccountToken, title).to.equal(/(full|incremental)$/.test(title));
    }
  });

  describe("Qdrant", () => {
    it("a cluster of peers that join the first by its name, with keys from a Secret and no probe that restarts a restoring peer", async () => {
      const declared = await declarer.declare();
      const { ignoreChanges, inputs } = object(declared, "StatefulSet", "qdrant") as Loose;
      const { replicas, template, volumeClaimTemplates, ...spec } = inputs.spec;
      expect(ignoreChanges).to.deep.equal(["spec.volumeClaimTemplates"]);
      expect(replicas).to.equal(3);
      expect(spec).to.deep.include({
        serviceName: "qdrant-peers",
        podManagementPolicy: "Parallel",
        persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
      });
      expect(volumeClaimTemplates.map((claim: Loose) => [claim.metadata.name, claim.spec])).to.deep.equal(
        ["storage", "snapshots"].map((volume) => [
          volume,
          { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "10Gi" } } },
        ]),
      );
      const [container] = template.spec.containers;
      expect(container.args).to.deep.equal([
        ...["--uri", "http://$(POD_NAME).qdrant-peers:6335"],
        ...["--bootstrap", "http://qdrant-0.qdrant-peers:6335"],
      ]);
      expect(container).to.not.have.any.keys("livenessProbe", "startupProbe");
      expect(container.command, "the first process gets the signal to end").to.deep.equal(["./qdrant"]);
      const key = container.env.find(({ name }: Loose) => name === "QDRANT__SERVICE__API_KEY");
      expect(key.valueFrom.secretKeyRef).to.deep.equal({ name: "qdrant-keys", key: "current" });
      const { inputs: peers } = object(declared, "Service", "qdrant-peers") as Loose;
      expect(peers.spec).to.include({ clusterIP: "None", publishNotReadyAddresses: true });
      const { inputs: budget } = object(declared, "PodDisruptionBudget", "qdrant") as Loose;
      expect(budget.spec.maxUnavailable).to.equal(1);
    });

    it("a raised key generation keeps the key before it valid, and restarts the pods", async () => {
      const declared = await declarer.declare({ qdrant: { keyGeneration: 3 } });
      const { inputs, secretInputs } = object(declared, "Secret", "qdrant-keys") as Loose;
      expect(inputs.stringData).to.deep.equal({
        current: apiKeyOf(`${declared.name}-qdrant-key-3`),
        previous: apiKeyOf(`${declared.name}-qdrant-key-2`),
      });
      expect(secretInputs).to.deep.equal(["stringData"]);
      const { template } = (object(declared, "StatefulSet", "qdrant") as Loose).inputs.spec;
      expect(template.metadata.annotations).to.deep.equal({ "qdrant-dr/key-generation": "3" });
      expect(template.spec.containers[0].env.map(({ name }: Loose) => name)).to.include("QDRANT__SERVICE__ALT_API_KEY");
    });

    it("a pod that reads a Secret when it starts, starts again when the Secret changes in more than roles: it carries the digest of its content", async () => {
      const declared = await declarer.declare();
      const digestOf = (secret: string) => {
        const entries = Object.entries((object(declared, "Secret", secret) as Loose).inputs.stringData).sort(
          ([a], [b]) => (a < b ? -1 : 1),
        );
        return digestOfEntries(entries);
      };
      const digestWithoutRoles = (secret: string) => {
        const files = (object(declared, "Secret", secret) as Loose).inputs.stringData as Record<string, string>;
        const entries = Object.entries(files).map(([name, text]) => {
          const { epoch, role, ...rest } = JSON.parse(text);
          expect([typeof epoch, roles.includes(role)], "there is a role that is left out").to.deep.equal([
            "number",
            true,
          ]);
          return [name, JSON.stringify(rest)] as const;
        });
        return digestOfEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
      };
      const annotationsOf = (kind: string, name: string) =>
        (object(declared, kind, name) as Loose).inputs.spec.template.metadata.annotations;
      expect(annotationsOf("StatefulSet", "qdrant-dr-gate")).to.deep.equal({
        "qdrant-dr/environment": digestOf("qdrant-dr-gate"),
      });
      expect(annotationsOf("Deployment", "qdrant-dr-replicate")).to.deep.equal({
        "qdrant-dr/regions": digestWithoutRoles("qdrant-dr-replicate-regions"),
      });
    });

    it("TLS: from a Secret that is there, between peers too; the product trusts its authority", async () => {
      const declared = await declarer.declare({ qdrant: { tlsSecret: "qdrant-tls" } });
      const { template } = (object(declared, "StatefulSet", "qdrant") as Loose).inputs.spec;
      const [container] = template.spec.containers;
      expect(container.args[1]).to.equal("https://$(POD_NAME).qdrant-peers:6335");
      expect(container.readinessProbe.httpGet.scheme).to.equal("HTTPS");
      expect(declared.outputs.qdrant.peers[0]).to.equal("https://qdrant-0.qdrant-peers.search.svc:6333");
      const [, spec] = podOf(object(declared, "CronJob", "qdrant-dr-full"))[0] as Loose;
      expect(spec.containers[0].env).to.deep.include({
        name: "NODE_EXTRA_CA_CERTS",
        value: "/etc/qdrant-dr/tls/ca.crt",
      });
    });

    it("seen from outside: a private load balancer for each peer, and its URLs in the outputs but not in this cluster's pods", async () => {
      const urls = ["http://a.example:6333", "http://b.example:6333"];
      const declared = await declarer.declare({
        qdrant: { replicas: 2, outside: { urls, cidrs: ["10.8.0.0/16"], loadBalancers: { annotations: { a: "b" } } } },
      });
      expect(declared.outputs.qdrant.peers).to.deep.equal(urls);
      for (const index of [0, 1]) {
        const { inputs } = object(declared, "Service", `qdrant-${index}-outside`) as Loose;
        expect(inputs.metadata.annotations).to.deep.equal({ a: "b" });
        expect(inputs.spec).to.deep.include({ type: "LoadBalancer", loadBalancerSourceRanges: ["10.8.0.0/16"] });
        expect(inputs.spec.selector).to.include({ "statefulset.kubernetes.io/pod-name": `qdrant-${index}` });
      }
      const inside = JSON.parse(
        (object(declared, "Secret", "qdrant-dr-capture-regions") as Loose).inputs.stringData["prod.json"],
      );
      expect(inside.qdrant.peers).to.deep.equal([
        "http://qdrant-0.qdrant-peers.search.svc:6333",
        "http://qdrant-1.qdrant-peers.search.svc:6333",
      ]);
    });
  });

  describe("schedules", () => {
    it("captures and what brings folders run in the active region, copies and the replicator in the others, checks in all", async () => {
      for (const role of roles) {
        const declared = await declarer.declare({ ...folderSettings, role });
        const suspended = objects(declared, "CronJob").map((job: Loose) => [
          job.inputs.metadata.name,
          job.inputs.spec.suspend,
        ]);
        const isActive = role === "active";
        expect(Object.fromEntries(suspended)).to.deep.equal({
          "qdrant-dr-full": !isActive,
          "qdrant-dr-incremental": !isActive,
          "qdrant-dr-copy": isActive,
          "qdrant-dr-drill": isActive,
          "qdrant-dr-prune": false,
          "qdrant-dr-verify": false,
          "qdrant-dr-test-restore": false,
        });
        const replicas = objects(declared, "Deployment").map((deployment: Loose) => [
          deployment.inputs.metadata.name,
          deployment.inputs.spec.replicas,
        ]);
        expect(Object.fromEntries(replicas)).to.deep.equal({
          "qdrant-dr-prune-stream": 1,
          "qdrant-dr-replicate": isActive ? 0 : 1,
          "qdrant-dr-replicate-folders": isActive ? 1 : 0,
        });
      }
    });

    it("the standby follows its tiers, each as often as the settings say", async () => {
      const declared = await declarer.declare({
        role: "standby",
        kubernetes: { replicate: { everySeconds: 5, tiers: { "archive-*": 60 } } },
      });
      const { inputs } = object(declared, "Deployment", "qdrant-dr-replicate") as Loose;
      const words = inputs.spec.template.spec.containers[0].args.join(" ");
      expect(words).to.contain(" replicate --from dr --to prod --every 5 --tier archive-*=60 ");
    });

    it("folders are brought into the other region's bucket by one pod that reads the volumes, and reaches stores alone", async () => {
      const declared = await declarer.declare(folderSettings);
      const { inputs } = object(declared, "Deployment", "qdrant-dr-replicate-folders") as Loose;
      const labels = {
        "app.kubernetes.io/part-of": "qdrant-dr",
        "app.kubernetes.io/name": "qdrant-dr-replicate-folders",
      };
      const { template, ...spec } = inputs.spec;
      expect(spec).to.deep.equal({ replicas: 1, strategy: { type: "Recreate" }, selector: { matchLabels: labels } });
      expect(template.metadata.labels).to.deep.equal({
        ...labels,
        "app.kubernetes.io/managed-by": "qdrant-dr",
        "qdrant-dr/reaches-stores": "true",
      });
      const { containers, volumes, ...pod } = template.spec;
      expect(pod).to.include({
        serviceAccountName: "qdrant-dr-replicate-folders",
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 120,
      });
      const [{ args, env, resources, volumeMounts }] = containers;
      expect(args).to.deep.equal([
        ...["/app/qdrant-dr.mjs", "replicate", "--from", "prod", "--to", "dr"],
        ...["--only", "config,user-data", "--every", "10", "--outputs", "/etc/qdrant-dr/regions"],
      ]);
      expect(env).to.deep.equal([{ name: "HOME", value: "/tmp" }]);
      expect(resources).to.deep.equal({ requests: { cpu: "250m", memory: "1Gi" }, limits: { memory: "1Gi" } });
      const told = { secretName: "qdrant-dr-replicate-folders-regions", defaultMode: 0o440 };
      expect(volumes).to.deep.equal([
        { name: "regions", secret: told },
        { name: "scratch", emptyDir: {} },
        { name: "app-conf", persistentVolumeClaim: { claimName: "app-conf", readOnly: true } },
        { name: "files", persistentVolumeClaim: { claimName: "files", readOnly: true } },
      ]);
      expect(volumeMounts).to.deep.equal([
        { name: "regions", mountPath: "/etc/qdrant-dr/regions", readOnly: true },
        { name: "scratch", mountPath: "/tmp" },
        { name: "app-conf", mountPath: "/srv/app", readOnly: true },
        { name: "files", mountPath: "/srv/files", readOnly: true },
      ]);
      for (const schedule of ["full", "incremental"]) {
        const [, capture] = podOf(object(declared, "CronJob", `qdrant-dr-${schedule}`))[0] as Loose;
        expect(capture.containers[0].volumeMounts, schedule).to.deep.equal(volumeMounts);
        expect(capture.volumes.slice(1), schedule).to.deep.equal(volumes.slice(1));
      }
    });

    it("after a failover, and after no other change of roles, a Job for each claim restores its folders, as the user whose files they are", async () => {
      const owners = [
        { claim: "app-conf", path: "/srv/app" },
        { claim: "files", path: "/srv/files", user: 1001, group: 1002 },
        { claim: "scratch", path: "/srv/scratch" },
      ];
      const options = { ...folderSettings, kubernetes: { ...folderSettings.kubernetes, claims: owners } };
      const declared = await declarer.declare({ ...options, epoch: afterFailover });
      const declaredJobs = objects(declared, "Job") as Loose[];
      expect(declaredJobs.map(titleOf)).to.have.members([
        "Job search/qdrant-dr-restore-folders-app-conf-4",
        "Job search/qdrant-dr-restore-folders-files-4",
      ]);
      const { spec } = (object(declared, "Job", "qdrant-dr-restore-folders-files-4") as Loose).inputs;
      const { containers, securityContext, serviceAccountName, volumes } = spec.template.spec;
      expect(containers[0].args).to.deep.equal([
        ...["/app/qdrant-dr.mjs", "failover", "folders", "--to", "prod", "--names", "files"],
        ...["--outputs", "/etc/qdrant-dr/regions"],
      ]);
      expect(securityContext).to.include({ runAsNonRoot: true, runAsUser: 1001, runAsGroup: 1002, fsGroup: 1002 });
      expect(serviceAccountName).to.equal("qdrant-dr-restore-folders");
      expect(volumes.at(-1)).to.deep.equal({ name: "files", persistentVolumeClaim: { claimName: "files" } });
      expect(containers[0].volumeMounts.at(-1)).to.deep.equal({ name: "files", mountPath: "/srv/files" });
      const [, capture] = podOf(object(declared, "CronJob", "qdrant-dr-full"))[0] as Loose;
      expect(capture.securityContext).to.deep.include({ runAsUser: 65_532, supplementalGroups: [1002] });

      for (const others of [
        { epoch: { ...afterFailover, reason: "switchover" as const } },
        { epoch: afterFailover, role: "standby" as const },
        {},
      ]) {
        expect(objects(await declarer.declare({ ...options, ...others }), "Job")).to.deep.equal([]);
      }
    });

    it("of folders only the kinds are brought that there are; without folders, a follower or the other region, none", async () => {
      const { kubernetes, settings } = folderSettings;
      const { userData } = settings;
      const some = object(
        await declarer.declare({ kubernetes, settings: { userData } }),
        "Deployment",
        "qdrant-dr-replicate-folders",
      ) as Loose;
      expect(some.inputs.spec.template.spec.containers[0].args.join(" ")).to.contain(" --only user-data ");
      const objectives = { rtoMinutes: 30, rpoMinutes: 1440 };
      for (const options of [
        { kubernetes },
        { ...folderSettings, hasPeer: false },
        { kubernetes: { ...kubernetes, replicate: undefined }, settings: { ...settings, objectives } },
        { kubernetes: { ...kubernetes, replicate: { everySeconds: 10 } }, settings },
      ]) {
        const titles = objects(await declarer.declare(options)).map(titleOf);
        expect(titles.filter((title) => title.includes("replicate-folders"))).to.deep.equal([]);
      }
    });

    it("a changed role changes these fields, and what the region's outputs say: nothing else", async () => {
      const [active, standby] = [
        await declarer.declare({ ...folderSettings, role: "active" }),
        await declarer.declare({ ...folderSettings, role: "standby" }),
      ];
      const before = new Map(objects(active).map((object) => [titleOf(object), object]));
      const changed = objects(standby)
        .filter((object) => withoutDigests(object) !== withoutDigests(before.get(titleOf(object))))
        .map(titleOf)
        // Keys carry the name of the region, which differs in this test, and so do digests of Secrets.
        .filter((title) => !["Secret search/qdrant-keys", "Secret search/qdrant-dr-gate"].includes(title));
      expect(changed).to.have.members([
        "CronJob search/qdrant-dr-copy",
        "CronJob search/qdrant-dr-drill",
        "CronJob search/qdrant-dr-full",
        "CronJob search/qdrant-dr-incremental",
        "Deployment search/qdrant-dr-replicate",
        "Deployment search/qdrant-dr-replicate-folders",
        ...toldJobs.map((job) => `Secret search/qdrant-dr-${job}-regions`),
      ]);
    });

    it("a capture is an Indexed Job of as many workers as are set, one session for each run", async () => {
      const declared = await declarer.declare({ kubernetes: { schedules: { workers: 3 } } });
      const { spec } = (object(declared, "CronJob", "qdrant-dr-incremental") as Loose).inputs;
      expect(spec).to.include({ schedule: "0 */4 * * *", timeZone: "Etc/UTC", concurrencyPolicy: "Forbid" });
      const { template, ...job } = spec.jobTemplate.spec;
      expect(job).to.deep.equal({
        completionMode: "Indexed",
        completions: 3,
        parallelism: 3,
        backoffLimit: 6,
        activeDeadlineSeconds: 3600,
      });
      const [container] = template.spec.containers;
      expect(container.args).to.deep.equal([
        ...["/app/qdrant-dr.mjs", "backup", "--stack", "prod", "--type", "incremental"],
        ...["--worker", "$(JOB_COMPLETION_INDEX)/3", "--session", "$(SESSION)"],
        ...["--outputs", "/etc/qdrant-dr/regions"],
      ]);
      const session = container.env.find(({ name }: Loose) => name === "SESSION");
      expect(session.valueFrom.fieldRef.fieldPath).to.equal("metadata.labels['batch.kubernetes.io/job-name']");
    });

    it("a test restore goes into a Qdrant of its own pod, which listens to that pod alone and goes with it", async () => {
      const { spec } = (object(await declarer.declare(), "CronJob", "qdrant-dr-test-restore") as Loose).inputs;
      const pod = spec.jobTemplate.spec.template.spec;
      expect(pod.containers[0].args.join(" ")).to.contain(
        "restore --stack prod --to http://127.0.0.1:6333 --discard-unfinished",
      );
      const [sidecar] = pod.initContainers;
      expect(sidecar).to.include({ image: qdrantImage, restartPolicy: "Always" });
      expect(sidecar.env).to.deep.include({ name: "QDRANT__SERVICE__HOST", value: "127.0.0.1" });
      // Its volume is there for as long as the pod of a finished job.
      expect(spec.jobTemplate.spec.ttlSecondsAfterFinished).to.equal(3600);
      expect(pod.volumes.find(({ name }: Loose) => name === "throwaway")).to.have.property("ephemeral");
      expect(sidecar.command).to.deep.equal(["./qdrant"]);
    });

    it("a drill rehearses a failover to the region in a Qdrant of its own pod, by the account of test restores", async () => {
      const declared = await declarer.declare();
      const [drill, test] = ["qdrant-dr-drill", "qdrant-dr-test-restore"].map(
        (name) => (object(declared, "CronJob", name) as Loose).inputs.spec,
      );
      const pod = drill.jobTemplate.spec.template.spec;
      expect(pod.containers[0].args.join(" ")).to.contain("drill --to prod --throwaway http://127.0.0.1:6333");
      expect(drill.schedule).to.equal("0 6 1 * *");
      const same = test.jobTemplate.spec.template.spec;
      expect(pod.serviceAccountName).to.equal(same.serviceAccountName);
      expect(pod.initContainers).to.deep.equal(same.initContainers);
    });

    it("without the other region's outputs nothing is copied or followed", async () => {
      const declared = await declarer.declare({ role: "standby", hasPeer: false });
      const working = [...objects(declared, "CronJob"), ...objects(declared, "Deployment")];
      const names = working.map(({ inputs }) => (inputs["metadata"] as Loose).name);
      expect(names)
        .to.include("qdrant-dr-full")
        .and.not.include("qdrant-dr-copy")
        .and.not.include("qdrant-dr-replicate");
      const secrets = objects(declared, "Secret").filter(({ name }) => name.includes("-regions-")) as Loose[];
      expect(secrets.map(({ inputs }) => Object.keys(inputs.stringData))).to.deep.equal([
        ["prod.json"],
        ["prod.json"],
        ["prod.json"],
        ["prod.json"],
        ["prod.json"],
      ]);
    });

    it("the commands that pods run are the product's, with its options", async () => {
      const declared = await declarer.declare({ ...folderSettings, role: "standby" });
      const commands = objects(declared)
        .flatMap(podOf)
        .flatMap(([, spec]: Loose) => spec.containers)
        .filter(({ name }: Loose) => name === "qdrant-dr")
        .map(({ args }: Loose) => args.slice(1))
        .filter((args: string[]) => args.length > 0);
      expect(commands).to.have.length(10);
      for (const [command, ...options] of commands) await refusedForItsRegionOnly(command, options);
    });
  });

  describe("accounts and network", () => {
    it("one account a job; only captures read in the cluster, only what recovery points hold", async () => {
      const declared = await declarer.declare({ settings: { infrastructure: capturedObjects } });
      const accounts = objects(declared, "ServiceAccount").map(({ inputs }) => (inputs["metadata"] as Loose).name);
      expect(accounts).to.deep.equal(fewerJobs.map((job) => `qdrant-dr-${job}`));
      const { inputs } = object(declared, "ClusterRole", "qdrant-dr-capture-search-objects") as Loose;
      expect(inputs.rules).to.deep.equal([
        { apiGroups: ["apps"], resources: ["statefulsets"], verbs: ["get", "list"] },
        { apiGroups: ["networking.k8s.io"], resources: ["networkpolicies"], verbs: ["get", "list"] },
        { apiGroups: [""], resources: ["endpoints"], verbs: ["get", "list"] },
      ]);
      const bindings = objects(declared, "RoleBinding") as Loose[];
      expect(bindings.map((binding) => binding.inputs.metadata.namespace)).to.deep.equal(["search", "apps"]);
      for (const binding of bindings) {
        expect(binding.inputs.subjects).to.deep.equal([
          { kind: "ServiceAccount", name: "qdrant-dr-capture", namespace: "search" },
        ]);
      }
      const { inputs: cluster } = object(declared, "ClusterRole", "qdrant-dr-capture-search-cluster") as Loose;
      expect(cluster.rules).to.deep.equal([{ apiGroups: [""], resources: ["namespaces"], verbs: ["get", "list"] }]);
      const without = await declarer.declare();
      expect(objects(without, "ClusterRole")).to.deep.equal([]);
    });

    it("every account is a pod's, and every pod has its job's: what does not run has no rights", async () => {
      const monitoring = { operator: { namespace: "monitoring" } };
      for (const options of [
        {},
        { hasPeer: false },
        folderSettings,
        { ...folderSettings, kubernetes: { ...folderSettings.kubernetes, monitoring } },
        { kubernetes: { replicate: undefined }, settings: { objectives: { rtoMinutes: 30, rpoMinutes: 1440 } } },
      ]) {
        // Accounts of what a failover needs are there before it.
        const declared = await declarer.declare({ ...options, epoch: afterFailover });
        const accounts = objects(declared, "ServiceAccount").map(({ inputs }) => (inputs["metadata"] as Loose).name);
        const used = objects(declared)
          .flatMap(podOf)
          .flatMap(([, { serviceAccountName }]) => serviceAccountName ?? []);
        expect(accounts, JSON.stringify(options)).to.have.members([...new Set(used)]);
      }
    });

    it("with AWS each job's account has a role, and no pod has credentials", async () => {
      const irsa = await declarer.declare({ settings: awsSettings({ irsa: { issuer: "oidc.example/id/1" } }) });
      for (const { inputs } of objects(irsa, "ServiceAccount")) {
        const { annotations, name } = inputs["metadata"] as Loose;
        const role = `arn:aws:iam::111122223333:role/qdrant-dr-prod-${name.slice("qdrant-dr-".length)}`;
        expect(annotations).to.deep.equal({ "eks.amazonaws.com/role-arn": role });
      }
      expect(irsa.outputs.repository).to.deep.equal({
        kind: "s3",
        bucket: "prod-points",
        region: "eu-central-1",
        credentials: undefined,
      });
      const podIdentity = await declarer.declare({ settings: awsSettings({ podIdentity: { name: "prod" } }) });
      const { inputs } = object(podIdentity, "NetworkPolicy", "qdrant-dr-reaches-stores") as Loose;
      expect(inputs.spec.egress[1].to[0]).to.deep.equal({ ipBlock: { cidr: "169.254.170.23/32" } });
      expect(podIdentity.resources.filter(({ type }) => type.startsWith("aws:eks"))).to.have.length(fewerJobs.length);
      const children = podIdentity.resources.filter(({ parent }) => parent === podIdentity.resources[0]?.urn);
      expect(children.length, "what `pulumi up` shows").to.be.lessThan(12);
    });

    it("everything is denied but: names, peers among themselves, jobs to Qdrant, stores and the other region", async () => {
      const declared = await declarer.declare({
        kubernetes: { clientNamespaces: ["apps"], egressCidrs: ["10.0.0.0/8"] },
        qdrant: { replicas: 1, outside: { urls: ["http://a.example:6333"], cidrs: ["10.8.0.0/16"] } },
      });
      const specOf = (name: string) => (object(declared, "NetworkPolicy", `qdrant-dr-${name}`) as Loose).inputs.spec;
      expect(specOf("default-deny")).to.deep.equal({
        podSelector: { matchLabels: { "app.kubernetes.io/part-of": "qdrant-dr" } },
        policyTypes: ["Ingress", "Egress"],
      });
      const [peers, ownPods, outside] = specOf("qdrant").ingress;
      expect(peers.ports).to.deep.equal([{ protocol: "TCP", port: 6335 }]);
      expect(ownPods).to.deep.equal({
        from: [{ podSelector: { matchLabels: { "qdrant-dr/reaches-qdrant": "true" } } }],
        ports: [{ protocol: "TCP", port: 6333 }],
      });
      expect(outside).to.deep.equal({
        from: [{ ipBlock: { cidr: "10.8.0.0/16" } }],
        ports: [{ protocol: "TCP", port: 6333 }],
      });
      // The store's own port, AWS's for the other region's bucket, and the other region's Qdrant.
      expect(specOf("reaches-stores").egress).to.deep.equal([
        {
          to: [{ ipBlock: { cidr: "10.0.0.0/8" } }],
          ports: [443, 9000, 16_333].map((port) => ({ protocol: "TCP", port })),
        },
      ]);
    });

    it("no pod is let out to where nodes give credentials away; captures of objects go to the API server alone, where it is told", async () => {
      const metadata = ["169.254.0.0/16"];
      const ofCluster = { cidr: "::/0", except: ["fd00:ec2::/32", "fd20:ce::/64"] };
      for (const [apiServerCidrs, blocks] of [
        [undefined, [{ cidr: "0.0.0.0/0", except: metadata }, ofCluster]],
        [
          ["10.96.0.1/32", "10.0.3.4/32"],
          [{ cidr: "10.96.0.1/32" }, { cidr: "10.0.3.4/32" }],
        ],
      ] as const) {
        const declared = await declarer.declare({
          kubernetes: apiServerCidrs === undefined ? {} : { apiServerCidrs },
          settings: { infrastructure: capturedObjects },
        });
        const egressOf = (name: string) =>
          (object(declared, "NetworkPolicy", `qdrant-dr-${name}`) as Loose).inputs.spec.egress;
        expect(egressOf("reaches-stores")[0].to).to.deep.equal([{ ipBlock: { cidr: "0.0.0.0/0", except: metadata } }]);
        expect(egressOf("reaches-kubernetes")).to.deep.equal([
          {
            to: blocks.map((ipBlock) => ({ ipBlock })),
            ports: [443, 6443].map((port) => ({ protocol: "TCP", port })),
          },
        ]);
      }
    });

    it("clients come by the gate alone, whatever the role", async () => {
      for (const role of roles) {
        const clients = { clientNamespaces: ["apps"], clientCidrs: ["10.1.0.0/16"] };
        const declared = await declarer.declare({ kubernetes: clients, role });
        const policies = objects(declared, "NetworkPolicy").filter(({ inputs }) =>
          /apps|10\.1\./.test(JSON.stringify(inputs)),
        );
        expect(policies.map(titleOf)).to.deep.equal(["NetworkPolicy search/qdrant-dr-gate"]);
        const [
          {
            inputs: { spec },
          },
        ] = policies as Loose;
        expect(spec.podSelector.matchLabels["app.kubernetes.io/name"]).to.equal("qdrant-dr-gate");
        expect(spec.ingress[0].from).to.have.length(2);
      }
    });
  });

  describe("gate", () => {
    const environmentOf = (declared: DeclaredRegion) => {
      const { inputs } = object(declared, "StatefulSet", "qdrant-dr-gate") as Loose;
      const [container] = inputs.spec.template.spec.containers;
      const plain = container.env.map(({ name, value }: Loose) => [name, value]);
      const { inputs: secret } = object(declared, "Secret", "qdrant-dr-gate") as Loose;
      expect(container.envFrom).to.deep.equal([{ secretRef: { name: "qdrant-dr-gate" } }]);
      expect(container.args).to.deep.equal(["/app/gate.mjs"]);
      return { ...Object.fromEntries(plain), ...secret.stringData };
    };

    it("one pod that keeps what it has seen, between clients and any ready peer; it has no key to recovery points", async () => {
      const declared = await declarer.declare();
      const environment = environmentOf(declared);
      expect(environment).to.deep.include({
        QDRANT_DR_GATE_HOST: "0.0.0.0",
        QDRANT_DR_GATE_PORT: "6333",
        QDRANT_DR_GATE_REGION: "prod",
        QDRANT_DR_GATE_CLIENT_KEY: clientKey,
        QDRANT_DR_GATE_MODE: "availability",
        QDRANT_DR_GATE_STATE: "/var/lib/qdrant-dr/seen.json",
      });
      const key = apiKeyOf(`${declared.name}-qdrant-key-1`);
      expect(JSON.parse(environment.QDRANT_DR_GATE_UPSTREAM)).to.deep.equal({
        url: "http://qdrant.search.svc:6333",
        grpcUrl: "http://qdrant.search.svc:6334",
        apiKey: key,
      });
      expect(JSON.parse(environment.QDRANT_DR_GATE_CONTROL)).to.deep.equal(declared.outputs.control);
      expect(JSON.parse(environment.QDRANT_DR_GATE_PEER_CONTROL)).to.include({ bucket: "dr-control" });
      expect(environment).not.to.have.property("QDRANT_DR_GATE_WITNESS");
      const { inputs } = object(declared, "StatefulSet", "qdrant-dr-gate") as Loose;
      expect(inputs.spec.replicas).to.equal(2);
      expect(JSON.stringify(inputs)).not.to.contain("-regions");
      expect(declared.outputs.gate).to.deep.equal({
        url: "http://qdrant-dr-gate.search.svc:6333",
        controlUrls: [0, 1].map(
          (pod) => `http://qdrant-dr-gate-${pod}.qdrant-dr-gate-control.search.svc:6435/.qdrant-dr/gate`,
        ),
        controlToken: environment.QDRANT_DR_GATE_CONTROL_TOKEN,
        mode: "availability",
        lease: undefined,
      });
    });

    it("consistency: its lease is at a third place, which the outputs name too", async () => {
      const witness = { bucket: "witness", region: "eu-3" };
      const gate = { mode: "consistency", witness, leaseSeconds: 20, url: "https://search.example/" };
      const declared = await declarer.declare({ kubernetes: { gate } });
      const environment = environmentOf(declared);
      expect(environment).to.include({ QDRANT_DR_GATE_MODE: "consistency", QDRANT_DR_GATE_LEASE_SECONDS: "20" });
      expect(JSON.parse(environment.QDRANT_DR_GATE_WITNESS)).to.include({ kind: "s3", ...witness });
      expect(declared.outputs.gate?.lease?.seconds).to.equal(20);
      expect(declared.outputs.gate?.url).to.equal("https://search.example/");
    });

    it("its Service is as the settings say, for a load balancer or external-dns", async () => {
      const service = {
        type: "LoadBalancer",
        annotations: { "external-dns.alpha.kubernetes.io/hostname": "a.example" },
      };
      const gate = { service, tlsSecret: "gate-tls" };
      const { inputs } = object(
        await declarer.declare({ kubernetes: { gate, clientCidrs: ["10.1.0.0/16"] } }),
        "Service",
        "qdrant-dr-gate",
      ) as Loose;
      expect(inputs.spec).to.deep.include({
        type: "LoadBalancer",
        loadBalancerSourceRanges: ["10.1.0.0/16"],
        externalTrafficPolicy: "Local",
      });
      expect(inputs.spec.ports.map(({ port }: Loose) => port)).to.deep.equal([6333, 6334]);
      expect(inputs.metadata.annotations).to.deep.equal(service.annotations);
    });
  });

  it("no object has a secret in an input that is not secret", async () => {
    const { resources } = await declarer.declare({
      ...folderSettings,
      role: "standby",
      qdrant: { keyGeneration: 2 },
    });
    const withSecrets = resources.filter(({ secretInputs }) => secretInputs.length > 0);
    expect(withSecrets.map(({ inputs }) => inputs["kind"])).to.deep.equal(Array(2 + toldJobs.length).fill("Secret"));
    for (const { inputs, name, secretInputs } of resources) {
      const plain = JSON.stringify(Object.entries(inputs).filter(([property]) => !secretInputs.includes(property)));
      for (const secret of ["secret-api-key", identity, storeSecret, clientKey])
        expect(plain, name).not.to.contain(secret);
    }
  });

  it("the outputs are secret as a whole and keep the contract", async () => {
    const declared = await declarer.declare();
    const { isSecret, outputs } = declared;
    expect(isSecret).to.equal(true);
    expect(regionSchema.parse(outputs)).to.deep.equal(outputs);
    expect(outputs).to.include({ region: "prod", peer: "dr", role: "active", epoch: 3 });
    const { capacity } = regionSchema.parse(outputs).qdrant;
    expect(capacity).to.deep.equal({ memoryBytes: 3 * 8 * 1024 ** 3, diskBytes: 3 * 10 * 1024 ** 3 });
  });

  it("each job's pods get a Secret of their own, with what the job needs of the regions and nothing else", async () => {
    const declared = await declarer.declare(folderSettings);
    const told = toldJobs.map((job) => {
      const { inputs } = object(declared, "Secret", `qdrant-dr-${job}-regions`) as Loose;
      const regions = Object.values(inputs.stringData).map((text) => regionSchema.parse(JSON.parse(text as string)));
      const text = JSON.stringify(regions);
      const opens = regions.filter(({ keys }) => keys.identity === identity).map(({ region }) => region);
      const known = {
        "own key": text.includes(`${declared.name}-qdrant-key-1`),
        "peer's key": text.includes("secret-api-key-of-dr"),
        "own identity": opens.includes("prod"),
        "peer's identity": opens.includes("dr"),
        gate: text.includes("controlToken"),
        clients: text.includes(clientKey),
      };
      const names = Object.entries(known).filter(([, isKnown]) => isKnown);
      return [job, regions.map(({ region }) => region).sort(), names.map(([name]) => name)];
    });
    expect(told).to.deep.equal([
      ["capture", ["prod"], ["own key", "own identity"]],
      ["copy", ["dr", "prod"], ["own identity", "peer's identity"]],
      ["prune", ["prod"], ["own identity"]],
      ["prune-stream", ["prod"], ["own identity"]],
      ["replicate", ["dr", "prod"], ["own key", "peer's key", "own identity"]],
      ["replicate-folders", ["dr", "prod"], ["peer's identity"]],
      ["restore-folders", ["prod"], ["own identity"]],
      ["test-restore", ["prod"], ["own key", "own identity"]],
      ["verify", ["prod"], ["own identity"]],
    ]);
    const mounted = objects(declared)
      .flatMap(podOf)
      .flatMap(([, { serviceAccountName, volumes = [] }]: Loose) =>
        volumes.flatMap(({ secret }: Loose) => (secret ? [[serviceAccountName, secret.secretName]] : [])),
      );
    expect(mounted).to.have.length(10);
    for (const [account, secret] of mounted) expect(secret).to.equal(`${account}-regions`);
  });

  describe("a Qdrant that is there already", () => {
    const existing = {
      urls: ["http://vectors-0.vectors-headless.data.svc:6333"],
      serviceUrl: "http://vectors.data.svc:6333",
      namespace: "data",
      podLabels: { "app.kubernetes.io/instance": "vectors" },
    };

    it("is captured, followed and stood before, and nothing of it is declared", async () => {
      const declared = await declarer.declare({
        qdrant: { existing },
        secrets: { qdrantApiKey: "secret-api-key-given" },
      });
      const titles = objects(declared).map(titleOf);
      expect(titles.filter((title) => / search\/qdrant(-|$)(?!dr-)/.test(title))).to.deep.equal([]);
      expect(declared.outputs.qdrant).to.deep.equal({ peers: existing.urls, apiKey: "secret-api-key-given" });
      const { inputs: gate } = object(declared, "Secret", "qdrant-dr-gate") as Loose;
      expect(JSON.parse(gate.stringData.QDRANT_DR_GATE_UPSTREAM)).to.deep.equal({
        url: existing.serviceUrl,
        grpcUrl: "http://vectors.data.svc:6334",
        apiKey: "secret-api-key-given",
      });
      const { inputs: policy } = object(declared, "NetworkPolicy", "qdrant-dr-reaches-qdrant") as Loose;
      expect(policy.spec.egress).to.deep.equal([
        {
          to: [
            {
              namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "data" } },
              podSelector: { matchLabels: existing.podLabels },
            },
          ],
          ports: [{ protocol: "TCP", port: 6333 }],
        },
      ]);
    });
  });

  describe("the public name", () => {
    const traffic = { zoneId: "Z0123456789", url: "https://search.example.org" };
    const declareNamed = (role: Role, more: Record<string, unknown> = {}) =>
      declarer.declare({
        role,
        settings: awsSettings({ podIdentity: { name: "prod" } }, { traffic: { ...traffic, ...more } }),
        kubernetes: {
          gate: { url: "https://gate.prod.example:8443" },
          monitoring: { operator: { namespace: "monitoring" } },
        },
      });

    it("has a record of this region, with all of the clients while it is active and none otherwise, and a health check of its gate", async () => {
      const declared = await declareNamed("active");
      const check = one(declared.resources, `${declared.name}-traffic-open`);
      expect(check.inputs).to.deep.equal({
        type: "HTTPS",
        fqdn: "gate.prod.example",
        port: 8443,
        resourcePath: "/.qdrant-dr/open",
        requestInterval: 10,
        failureThreshold: 2,
        tags: {},
      });
      expect(one(declared.resources, `${declared.name}-traffic-record`).inputs).to.deep.equal({
        zoneId: traffic.zoneId,
        name: "search.example.org",
        type: "CNAME",
        ttl: 30,
        records: ["gate.prod.example"],
        setIdentifier: "prod",
        allowOverwrite: true,
        weightedRoutingPolicies: [{ weight: 100 }],
        healthCheckId: `${declared.name}-traffic-open-id`,
      });
      expect(declared.outputs.endpoint).to.deep.equal({
        url: traffic.url,
        clientKey,
        route53: { zoneId: traffic.zoneId, name: "search.example.org" },
      });
      for (const role of ["standby", "fenced"] as const) {
        const other = await declareNamed(role, { healthCheck: false });
        const { inputs } = one(other.resources, `${other.name}-traffic-record`);
        expect(inputs["weightedRoutingPolicies"]).to.deep.equal([{ weight: 0 }]);
        expect(inputs).not.to.have.property("healthCheckId");
      }
    });

    it("with everything declared that there is, `pulumi up` shows at most twelve children", async () => {
      const { resources } = await declareNamed("active");
      const [region] = resources;
      const children = resources.filter(({ parent }) => parent === region?.urn).map(({ name }) => name);
      expect(children).to.have.length.at.most(12);
      for (const part of [
        "gate",
        "identities",
        "monitoring",
        "namespace",
        "qdrant",
        "replicator",
        "signing",
        "traffic",
      ])
        expect(children).to.include(`${region?.name}-${part}`);
    });
  });
});

function objects({ resources }: DeclaredRegion, kind?: string): Registration[] {
  return resources.filter(
    ({ inputs, type }) => type.startsWith("kubernetes:") && (kind === undefined || inputs["kind"] === kind),
  );
}

function object(declared: DeclaredRegion, kind: string, name: string): Registration {
  const [found, ...more] = objects(declared, kind).filter(({ inputs }) => (inputs["metadata"] as Loose).name === name);
  if (found === undefined || more.length > 0) throw new Error(`not one ${kind} ${name}`);
  return found;
}

function titleOf({ inputs }: Registration): string {
  const { name, namespace } = inputs["metadata"] as Loose;
  return `${inputs["kind"]} ${namespace ?? "-"}/${name}`;
}

/** The title of the object and the spec of the pod that it leads to, if any. */
function podOf(registration: Registration): [string, Loose][] {
  const spec = registration.inputs["spec"] as Loose;
  const template = spec?.jobTemplate?.spec.template ?? spec?.template;
  return template === undefined ? [] : [[titleOf(registration), template.spec]];
}

/** What is wrong with the command is that the pod's folder is not here: everything before that is right. */
async function refusedForItsRegionOnly(command: string, options: readonly string[]): Promise<void> {
  const deps = await compose({ progress: () => {}, onInterrupt: () => () => {} });
  const errors: string[] = [];
  const args = [command, ...options].map((arg) =>
    arg.replace("$(JOB_COMPLETION_INDEX)", "0").replace("$(SESSION)", "qdrant-dr-full-29400000"),
  );
  const exitCode = await runCli(args, deps, { out: () => {}, err: (text) => errors.push(text) });
  expect(errors.join(), args.join(" ")).to.contain("error: /etc/qdrant-dr/regions cannot be read: ENOENT");
  expect(exitCode).to.equal(2);
}

function digestOfEntries(entries: readonly (readonly [string, unknown])[]): string {
  return createHash("sha256").update(JSON.stringify(entries)).digest("hex");
}
