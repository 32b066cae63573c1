import { expect } from "chai";
import { parseKubernetesSecrets } from "../../runtime/domain/settings/kubernetes-secrets.ts";
import { parseProcessesSecrets, parseStackSettings } from "../../runtime/domain/settings/stack-settings.ts";
import { DrError } from "../../runtime/errors.ts";
import { signing, trust } from "../support/estates/test-trust.ts";

type Members = Record<string, unknown>;

const processes = {
  trust: { ...trust, keyGeneration: 1 },
  peer: "standby",
  initialRole: "active",
  platform: "processes",
  store: "s3",
  processes: {
    estate: "e1",
    folder: "/estates/e1/primary",
    control: "/estates/e1/primary/control",
    ports: { gate: 20_011, gateControl: 20_009, qdrant: 20_000, qdrantGrpc: 20_001, store: 20_002 },
    endpoint: { port: 20_010, runsHere: false, upstreams: { primary: "http://127.0.0.1:20000" } },
    recipients: ["age1operational", "age1recovery"],
  },
};

const digest = `sha256:${"a".repeat(64)}`;
const kubernetes = {
  trust: { ...trust, keyGeneration: 1 },
  peer: "dr",
  initialRole: "standby",
  platform: "kubernetes",
  store: "s3",
  stores: {
    repository: { bucket: "prod-points", region: "eu-central-1" },
    control: { bucket: "prod-control", region: "eu-central-1" },
  },
  kubernetes: {
    namespace: "qdrant",
    image: `registry.example/qdrant-dr@${digest}`,
    qdrant: { image: `qdrant/qdrant@${digest}`, storageGib: 10 },
    replicate: { everySeconds: 10, tiers: {}, folders: false },
    recipients: ["age1operational", "age1recovery"],
  },
};

const serverUrl = "a URL that begins with http:// or https://";

describe("settings of a stack", () => {
  it("accepts both platforms, and fills in the objectives, no folders and no infrastructure only", () => {
    const filledIn = {
      objectives: { rtoMinutes: 30, rpoMinutes: 15 },
      configuration: [],
      userData: [],
      infrastructure: { stacks: [] },
    };
    expect(parseStackSettings("primary", processes)).to.deep.equal({
      ...processes,
      region: "primary",
      ...filledIn,
      processes: { ...processes.processes, gate: { mode: "availability", leaseSeconds: 15 } },
    });
    expect(parseStackSettings("prod", kubernetes)).to.deep.equal({
      ...kubernetes,
      region: "prod",
      ...filledIn,
      kubernetes: {
        ...kubernetes.kubernetes,
        createNamespace: true,
        qdrant: {
          ...kubernetes.kubernetes.qdrant,
          replicas: 3,
          resources: { cpu: "2", memory: "8Gi" },
          keyGeneration: 1,
        },
        claims: [],
        clientNamespaces: [],
        clientCidrs: [],
        gate: {
          mode: "availability",
          leaseSeconds: 15,
          replicas: 2,
          plaintext: false,
          otherKeys: "refuse",
          limits: { connections: 2_000, bodyMegabytes: 256 },
          service: { type: "ClusterIP", annotations: {} },
        },
        egressCidrs: ["0.0.0.0/0"],
        apiServerCidrs: [],
        schedules: {
          full: "0 2 * * *",
          incremental: "0 */4 * * *",
          copy: "30 */4 * * *",
          drill: "0 6 1 * *",
          prune: "30 3 * * *",
          verify: "0 4 * * *",
          testRestore: "0 5 * * 0",
          workers: 1,
        },
      },
    });
  });

  it("accepts folders of configuration and user data, with globs", () => {
    const folders = {
      configuration: [{ name: "app", path: "/etc/app", include: ["*.yaml", "conf.d/**"], exclude: ["**/*.bak"] }],
      userData: [{ name: "uploads", path: "/srv/uploads" }],
    };
    expect(parseStackSettings("primary", { ...processes, ...folders })).to.deep.include(folders);
  });

  it("accepts infrastructure: a cluster's kinds, and stacks", () => {
    const given = { infrastructure: infrastructure() };
    expect(parseStackSettings("primary", { ...processes, ...given })).to.deep.include(given);
  });

  it("refuses a name that two folders have, of whatever kind", () => {
    const folders = {
      configuration: [{ name: "app", path: "/etc/app" }],
      userData: [{ name: "app", path: "/srv/app" }],
    };
    expect(refusal("primary", { ...processes, ...folders }).message).to.equal(
      'stack primary: userData.0.name: "app" is not allowed (a name that no other folder has)',
    );
  });

  const name = "a lower-case name of letters, digits and hyphens";
  const table: [setting: string, value: unknown, allowed: string][] = [
    ["peer", undefined, "expected string"],
    ["peer", "", name],
    ["peer", "Standby", name],
    ["peer", "a".repeat(32), name],
    ["peer", "primary", "another region than this one"],
    ["initialRole", undefined, '"active"|"standby"'],
    ["initialRole", "fenced", '"active"|"standby"'],
    ["platform", undefined, "'processes' | 'kubernetes'"],
    ["platform", "docker", "'processes' | 'kubernetes'"],
    ["store", undefined, '"s3"'],
    ["store", "aws", '"s3"'],
    ["objectives", 30, "expected object"],
    ["objectives.rtoMinutes", 0, ">0"],
    ["objectives.rtoMinutes", "30", "expected number"],
    ["objectives.rpoMinutes", undefined, "expected number"],
    ["objectives.rpoMinutes", -1, ">0"],
    ["objectives.rpoMinutes", 10_081, "<=10080"],
    ["configuration", "/etc/app", "expected array"],
    ["configuration.0", "/etc/app", "expected object"],
    ["configuration.0.name", "App", name],
    ["configuration.0.path", "etc", "an absolute path"],
    ["configuration.0.path", undefined, "expected string"],
    ["configuration.0.include", [], "expected array to have >=1 items"],
    ["configuration.0.include.0", "", "expected string to have >=1 characters"],
    ["configuration.0.exclude.0", "/etc/app/*", "a pattern of paths below the folder"],
    ["configuration.0.exclude.0", "../*", "a pattern of paths below the folder"],
    ["userData.0.exclude", "*.log", "expected array"],
    ["infrastructure", "everything", "expected object"],
    ["infrastructure.stacks.0", "../other", "the name of a stack"],
    ["infrastructure.kubernetes.namespaces", [], "expected array to have >=1 items"],
    ["infrastructure.kubernetes.kinds.0.kind", "deployments", "a kind as it is written in objects"],
    ["infrastructure.kubernetes.kinds.0.apiVersion", "apps", "a group and version"],
    ["infrastructure.kubernetes.kubeconfig", "kubeconfig", "an absolute path"],
    ["processes", undefined, "expected object"],
    ["processes", "here", "expected object"],
    ["processes.estate", "E 1", name],
    ["processes.folder", "relative/path", "an absolute path"],
    ["processes.folder", undefined, "expected string"],
    ["processes.control", 3, "expected string"],
    ["processes.control", "", "an absolute path"],
    ["processes.ports", [], "expected object"],
    ["processes.ports.qdrant", 80, ">=1024"],
    ["processes.ports.qdrant", "6333", "expected number"],
    ["processes.ports.qdrantGrpc", 6334.5, "expected int"],
    ["processes.ports.store", 65_529, "<=65528"],
    ["processes.ports.store", undefined, "expected number"],
    ["processes.endpoint.port", 1023, ">=1024"],
    ["processes.endpoint.runsHere", "true", "expected boolean"],
    ["processes.endpoint.upstreams", "http://127.0.0.1:1", "expected record"],
    ["processes.endpoint.upstreams.primary", "nowhere", serverUrl],
    ["processes.endpoint.upstreams.primary", "ftp://127.0.0.1", serverUrl],
    ["processes.endpoint.upstreams.Primary", "http://127.0.0.1:1", name],
    ["processes.recipients", ["age1only"], "the operational and the offline recovery recipient"],
    ["processes.recipients.0", "ssh-ed25519", 'must start with "age1"'],
  ];
  for (const [setting, value, allowed] of table) {
    it(`refuses ${setting} when ${JSON.stringify(value) ?? "nothing"} is given, and says what is allowed`, () => {
      const { message } = refusal(
        "primary",
        changed(
          { ...processes, objectives: objectives(), ...folders(), infrastructure: infrastructure() },
          setting,
          value,
        ),
      );
      const given = value === undefined ? "nothing" : JSON.stringify(value);
      expect(message).to.match(/^stack primary: [^;]*$/, "names this setting only");
      expect(message).to.contain(`${setting}: ${given} is not allowed (`).and.contain(allowed);
    });
  }

  const image = "an image with its digest";
  const cron = "a cron expression of five fields";
  const ofCluster: [setting: string, value: unknown, allowed: string][] = [
    ["store", "file", "'s3' | 'aws'"],
    ["stores", undefined, "expected object"],
    ["stores.repository.bucket", "Points", "the name of a bucket"],
    ["stores.repository.endpoint", "s3.example", serverUrl],
    [
      "kubernetes.qdrant.existing",
      { ...existing(), urls: ["http://a.example", "http://a.example:80/"] },
      "each peer once",
    ],
    ["stores.control.bucket", "prod-points", "another bucket than the repository's"],
    ["kubernetes.namespace", "Search", "the name of a namespace"],
    ["kubernetes.image", "qdrant-dr:latest", image],
    ["kubernetes.qdrant.image", "qdrant/qdrant:v1.19.0-unprivileged", image],
    ["kubernetes.qdrant.replicas", 0, ">=1"],
    ["kubernetes.qdrant.storageGib", "10Gi", "expected number"],
    ["kubernetes.qdrant.resources", { cpu: "two", memory: "8Gi" }, "a quantity"],
    ["kubernetes.qdrant.outside", { urls: ["http://a"], cidrs: ["10.0.0.0/8"] }, "one URL for each replica"],
    ["kubernetes.qdrant.existing", { ...existing(), podLabels: {} }, "a label at least"],
    ["kubernetes.egressCidrs.0", "everywhere", "Invalid"],
    ["kubernetes.monitoring", { operator: {} }, "expected string"],
    ["kubernetes.monitoring", { operator: { namespace: "monitoring", receiver: { kind: "mail" } } }, "'webhook'"],
    ["kubernetes.schedules.full", "0 2 * *", cron],
    ["kubernetes.schedules.copy", "@hourly", cron],
    ["kubernetes.schedules.verify", "0 0 31 2 *", cron],
    ["kubernetes.schedules.testRestore", "0 5 * * 8", cron],
    ["kubernetes.schedules.workers", 0, ">=1"],
    ["kubernetes.replicate.everySeconds", 0, ">=1"],
    ["kubernetes.replicate", { everySeconds: 2, tiers: { "archive-*": 1200 } }, "reaches 20 minutes"],
    ["kubernetes.replicate", { everySeconds: 2, tiers: { "archive-*": 900 } }, "reaches 15 minutes and"],
    ["kubernetes.replicate.tiers.archive", 0, ">=1"],
    ["kubernetes.gate", { mode: "both" }, '"availability"|"consistency"'],
    ["kubernetes.gate", { mode: "consistency" }, "a third place, which the mode consistency needs"],
    ["kubernetes.recipients", ["age1same", "age1same"], "two different recipients"],
    ["kubernetes.replicate", undefined, "reach 480 minutes: let kubernetes.replicate follow, or run them more often"],
    ["configuration.0.path", "/srv/else", "a path within one of kubernetes.claims"],
    ["infrastructure.stacks", ["prod"], "none: a pod has no Pulumi"],
    ["infrastructure.kubernetes.context", "prod", "captures read their own cluster"],
  ];
  for (const [setting, value, allowed] of ofCluster) {
    it(`refuses ${setting} of a cluster when ${JSON.stringify(value) ?? "nothing"} is given, and says what is allowed`, () => {
      const { message } = refusal("prod", changed(cluster(), setting, value));
      // Of what a member of it is judged by, the member is named; of what follows from others, the objective.
      const named = setting === "kubernetes.replicate" ? "objectives.rpoMinutes" : setting;
      expect(message)
        .to.match(/^stack prod: [^;]*$/)
        .and.contain(`stack prod: ${named}`)
        .and.contain(allowed);
    });
  }

  it("never shows a user, a password or a key that is in a URL, and refuses it", () => {
    const urls = ["http://user:secret@a.example:6333", "http://secret@a.example", "user:secret@a.example:6333"];
    for (const url of [...urls, "http://a.example/?api-key=secret", "http://a.example/#secret"]) {
      const given = {
        "kubernetes.gate": { url },
        "stores.control.endpoint": url,
        "kubernetes.qdrant.existing": { ...existing(), urls: [url] },
      };
      for (const [setting, value] of Object.entries(given)) {
        const { code, message } = refusal("prod", changed(cluster(), setting, value));
        expect([code, message.includes("secret")], url).to.deep.equal(["SETTING_INVALID", false]);
        expect(message).to.contain(setting).and.contain("not shown: it may hold a password");
      }
    }
  });

  it("accepts schedules that reach the objective without a standby that follows", () => {
    const schedules = { incremental: "*/5 * * * *", copy: "1-59/5 * * * *" };
    expect(() =>
      parseStackSettings(
        "prod",
        changed(changed(cluster(), "kubernetes.replicate", undefined), "kubernetes.schedules", schedules),
      ),
    ).not.to.throw();
  });

  it("the store aws wants its settings, in the region of its buckets; another store has none", () => {
    expect(parseStackSettings("prod", ofAws())).to.deep.include({ aws: { ...(ofAws()["aws"] as Members), tags: {} } });
    expect(refusal("prod", { ...kubernetes, store: "aws" }).message).to.contain("aws: nothing is not allowed");
    expect(refusal("prod", changed(ofAws(), "store", "s3")).message).to.contain("aws: there is no such setting");
    expect(refusal("prod", changed(ofAws(), "stores.repository.region", "eu-west-1")).message).to.contain(
      'stores.repository.region: "eu-west-1" is not allowed (eu-central-1, as aws.region says)',
    );
  });

  it("a Qdrant that is there already: reached from outside by its peers, and given no load balancer", () => {
    const outside = { urls: ["http://a", "http://b"], cidrs: ["10.0.0.0/8"] };
    const given = (more: Members) =>
      changed(cluster(), "kubernetes.qdrant", { ...kubernetes.kubernetes.qdrant, existing: existing(), ...more });
    expect(() => parseStackSettings("prod", given({ outside }))).not.to.throw();
    const three = { ...outside, urls: [...outside.urls, "http://c"] };
    expect(refusal("prod", given({ outside: three })).message).to.contain("one URL for each replica");
    const balanced = { ...outside, loadBalancers: { annotations: {} } };
    expect(refusal("prod", given({ outside: balanced })).message).to.contain(
      "none for a Qdrant that is not this stack's",
    );
  });

  it("captured kinds in a cluster: Kubernetes' own, and others with the resource and scope that access is given by", () => {
    const capturing = (kind: Members) =>
      changed(cluster(), "infrastructure", { kubernetes: { namespaces: ["search"], kinds: [kind] } });
    const custom = { apiVersion: "example.org/v1", kind: "Tenancy" };
    const known = { resource: "tenancies", scope: "Cluster" };
    for (const kind of [
      { apiVersion: "apps/v1", kind: "StatefulSet" },
      { ...custom, ...known },
    ])
      expect(() => parseStackSettings("prod", capturing(kind))).not.to.throw();
    for (const kind of [custom, { ...custom, resource: "tenancies" }, { ...custom, scope: "Cluster" }])
      expect(refusal("prod", capturing(kind)).message)
        .to.contain("stack prod: infrastructure.kubernetes.kinds.0: ")
        .and.contain("one with its `resource` and `scope` as `kubectl api-resources` lists them");
    // Elsewhere the cluster is asked, with the rights of whoever captures.
    const elsewhere = { kubernetes: { namespaces: ["search"], kinds: [custom] } };
    expect(() => parseStackSettings("primary", { ...processes, infrastructure: elsewhere })).not.to.throw();
  });

  it("a public name leads to the gate's name, and images come from a registry at home", () => {
    const named = (url: unknown) => {
      const traffic = { zoneId: "Z0123456789", url: "https://search.example.org" };
      return changed(changed(ofAws(), "aws.traffic", traffic), "kubernetes.gate", { url });
    };
    expect(() => parseStackSettings("prod", named("https://gate.prod.example"))).not.to.throw();
    for (const url of [undefined, "https://10.1.2.3"]) {
      expect(refusal("prod", named(url)).message)
        .to.contain("kubernetes.gate.url: ")
        .and.contain("the gate's name");
    }
    const imageIn = (region: string) => `111122223333.dkr.ecr.${region}.amazonaws.com/qdrant@${digest}`;
    for (const setting of ["kubernetes.image", "kubernetes.qdrant.image"]) {
      expect(() => parseStackSettings("prod", changed(ofAws(), setting, imageIn("eu-central-1")))).not.to.throw();
      expect(refusal("prod", changed(ofAws(), setting, imageIn("eu-west-1"))).message).to.contain(
        "an image in a registry of eu-central-1: this region starts without the other",
      );
    }
  });

  it("secrets of a cluster: a store's credentials unless it is AWS's, and outputs of the peer that this region can reach", () => {
    const settings = parseStackSettings("prod", kubernetes);
    const aws = parseStackSettings("prod", ofAws());
    if (settings.platform !== "kubernetes") throw new Error("it is");
    const identity = "AGE-SECRET-KEY-1HIDDEN";
    const key = { accessKeyId: "hidden-id", secretAccessKey: "hidden-secret-key" };
    const store = { write: key, read: { ...key, accessKeyId: "hidden-other-id" } };
    const problemOf = (of: object, given: unknown) =>
      refused(() => parseKubernetesSecrets(of as typeof settings, given)).message;
    const own = { identity, clientKey: "hidden-key-of-clients" };
    expect(parseKubernetesSecrets(settings, { ...own, store })).to.deep.equal({ ...own, store });
    expect(problemOf(settings, own)).to.contain("secrets.store: credentials of the store are wanted");
    expect(problemOf(settings, { identity, store })).to.contain("secrets.clientKey");
    expect(problemOf(aws, { ...own, store })).to.contain("secrets.store: a role gives access to AWS, and no key");
    expect(problemOf(settings, { ...own, store, qdrantApiKey: "hidden-api-key" })).to.contain(
      "secrets.qdrantApiKey: this stack makes the key itself",
    );
    const adopting = changed(kubernetes, "kubernetes.qdrant.existing", existing());
    expect(problemOf(parseStackSettings("prod", adopting), { ...own, store })).to.contain(
      "secrets.qdrantApiKey: the key of kubernetes.qdrant.existing is wanted",
    );
    const region = { contract: 1, region: "dr", peer: "prod", role: "standby", epoch: 1 };
    const outputs = (url: string, name = "dr") => ({
      ...region,
      region: name,
      objectives: objectives(),
      qdrant: { peers: [url], apiKey: "hidden-api-key" },
      repository: { kind: "file", folder: "/a" },
      control: { kind: "file", folder: "/b" },
      keys: { recipients: ["age1a", "age1b"] },
      madeFor: "prod",
      trust,
    });
    const peer = outputs("http://qdrant-0.dr.example:6333");
    expect(parseKubernetesSecrets(settings, { ...own, store, peer }).peer).to.include({ region: "dr" });
    const problem = (more: object) => problemOf(settings, { ...own, store, peer: { ...peer, ...more } });
    expect(problem({ madeFor: undefined })).to.contain("secrets.peer.madeFor: the output `peer` of that stack");
    expect(problem({ madeFor: "other" })).to.contain("secrets.peer.madeFor: it is made for other");
    const whole = {
      keys: { ...peer.keys, identity },
      gate: {
        url: "http://gate.dr.example",
        controlUrls: ["http://gate.dr.example"],
        controlToken: "hidden-token",
        mode: "availability",
      },
    };
    expect(problem(whole))
      .to.contain("secrets.peer.keys.identity: ")
      .and.contain("secrets.peer.gate: ")
      .and.not.match(/hidden|HIDDEN/);
    const same = { ...own, store: { write: key, read: key } };
    expect(problemOf(settings, same)).to.contain("secrets.store.read: another key than `write`");
    const inside = { ...own, store, peer: outputs("http://qdrant-0.qdrant-peers.search.svc:6333") };
    expect(problemOf(settings, inside)).to.contain("secrets.peer.qdrant.peers: only its own cluster reaches");
    const narrow = parseStackSettings(
      "prod",
      changed(kubernetes, "kubernetes.egressCidrs", ["10.8.0.0/16", "fd00::/8"]),
    );
    const at = (host: string) => ({ ...own, store, peer: outputs(`http://${host}:6333`) });
    for (const reached of ["10.8.0.0", "10.8.255.255", "[fd00::1]", "qdrant-0.dr.example"]) {
      expect(() => parseKubernetesSecrets(narrow as typeof settings, at(reached))).not.to.throw();
    }
    for (const host of ["10.7.255.255", "10.9.0.0", "192.0.2.1", "[2001:db8::1]"]) {
      expect(problemOf(narrow, at(host))).to.contain(
        `secrets.peer.qdrant.peers: no pod may go to ${host}: kubernetes.egressCidrs is 10.8.0.0/16, fd00::/8`,
      );
    }
    const other = { ...own, store, peer: outputs("http://qdrant-0.dr.example:6333", "elsewhere") };
    expect(problemOf(settings, other)).to.contain("secrets.peer.region: the outputs of the stack dr are wanted");
    for (const given of [inside, other]) expect(problemOf(settings, given)).not.to.match(/hidden|HIDDEN/);
  });

  const unknown: [setting: string, settings: Members][] = [
    ["pear", { ...processes, pear: 1 }],
    ["region", { ...processes, region: "elsewhere" }],
    ["kubernetes", { ...processes, kubernetes: kubernetes.kubernetes }],
    ["processes", { ...kubernetes, processes: processes.processes }],
    ["userData.0.folder", changed({ ...processes, ...folders() }, "userData.0.folder", "/srv")],
    ["processes.folders", changed(processes, "processes.folders", "/a")],
    ["processes.ports.http", changed(processes, "processes.ports.http", 20_000)],
    ["processes.endpoint.url", changed(processes, "processes.endpoint.url", "http://127.0.0.1:1")],
    ["objectives.rto", changed({ ...processes, objectives: objectives() }, "objectives.rto", 1)],
    ["kubernetes.nodes", changed(kubernetes, "kubernetes.nodes", 3)],
  ];
  for (const [setting, settings] of unknown) {
    it(`refuses ${setting}, which is no setting of a stack with platform ${settings["platform"]}`, () => {
      expect(refusal("primary", settings).message).to.equal(`stack primary: ${setting}: there is no such setting`);
    });
  }

  it("refuses a stack's name that cannot be a region's, and shows it", () => {
    expect(refusal("Prod_1", kubernetes).message).to.equal(`stack Prod_1: region: "Prod_1" is not allowed (${name})`);
  });

  it("names every wrong setting at once, and the file to correct", () => {
    const { hint, message } = refusal("prod", { ...kubernetes, peer: "D R", kubernetes: { namespace: "Q" } });
    expect(message).to.contain('peer: "D R" is not allowed').and.contain('kubernetes.namespace: "Q" is not allowed');
    expect(hint).to.contain("Pulumi.prod.yaml");
  });

  it("the key of a region's own Qdrant is one of its secrets; a stack that lacks it is refused, by its name", () => {
    const given = {
      qdrantApiKeys: { primary: "the-key-of-primary" },
      store: { accessKeyId: "access-key-id", secretAccessKey: "secret-access-key" },
      clientKey: "the-key-of-all-clients",
      controlToken: "the-token-of-operators",
      identity: "AGE-SECRET-KEY-1",
      signing,
    };
    const { qdrantApiKeys, ...others } = given;
    expect(parseProcessesSecrets("primary", given)).to.deep.equal({
      ...others,
      qdrantApiKey: qdrantApiKeys.primary,
    });
    const { message } = refused(() => parseProcessesSecrets("standby", given));
    expect(message).to.equal("stack standby: secrets.qdrantApiKeys.standby: the key of this region's Qdrant is wanted");
  });

  it("never repeats a secret that it refuses", () => {
    const secret = "too-short-to-be";
    const given = {
      qdrantApiKeys: { primary: secret },
      store: { accessKeyId: "short", secretAccessKey: secret },
      clientKey: secret,
      controlToken: secret,
      identity: secret,
      more: secret,
    };
    const { hint, message } = refused(() => parseProcessesSecrets("primary", given));
    for (const name of [
      "secrets.qdrantApiKeys.primary: Too small",
      "secrets.store.accessKeyId: Too small",
      "secrets.store.secretAccessKey: Too small",
      "secrets.clientKey: Too small",
      "secrets.controlToken: Too small",
      'secrets.identity: Invalid string: must start with "AGE-SECRET-KEY-"',
      'secrets: Unrecognized key: "more"',
    ]) {
      expect(message).to.contain(name);
    }
    expect(`${message} ${hint}`).not.to.contain(secret);
    expect(refused(() => parseProcessesSecrets("primary", secret)).message).not.to.contain(secret);
  });
});

function folders() {
  return {
    configuration: [{ name: "app", path: "/etc/app", include: ["*.yaml"], exclude: ["*.bak"] }],
    userData: [{ name: "uploads", path: "/srv/uploads" }],
  };
}

/** Settings of a cluster, with everything in them that a table changes. */
function cluster(): Members {
  const { kubernetes: ofCluster, ...settings } = structuredClone(kubernetes);
  return {
    ...settings,
    objectives: objectives(),
    configuration: [{ name: "app", path: "/srv/app" }],
    infrastructure: {
      kubernetes: { namespaces: ["search"], kinds: [{ apiVersion: "v1", kind: "ConfigMap" }] },
      stacks: [],
    },
    kubernetes: {
      ...ofCluster,
      claims: [{ claim: "files", path: "/srv/app/" }],
      egressCidrs: ["10.0.0.0/8"],
      schedules: {},
    },
  };
}

function existing() {
  const urls = [0, 1].map((index) => `http://vectors-${index}.vectors-headless.data.svc:6333`);
  return { urls, serviceUrl: "http://vectors.data.svc:6333", namespace: "data", podLabels: { app: "vectors" } };
}

function ofAws(): Members {
  const keyIn = (region: string) => `arn:aws:kms:${region}:111122223333:key/mrk-1`;
  return {
    ...structuredClone(kubernetes),
    store: "aws",
    aws: {
      account: "111122223333",
      region: "eu-central-1",
      keyArn: keyIn("eu-central-1"),
      peer: { repository: "dr-points", control: "dr-control", keyArn: keyIn("eu-west-1") },
      cluster: { podIdentity: { name: "prod" } },
    },
  };
}

function infrastructure() {
  return {
    kubernetes: { namespaces: ["qdrant"], kinds: [{ apiVersion: "apps/v1", kind: "StatefulSet" }], selector: "a=b" },
    stacks: ["prod"],
  };
}

function objectives() {
  return { rtoMinutes: 30, rpoMinutes: 15 };
}

/** The settings with one of them, by its path, given another value; undefined leaves it out. */
function changed(settings: Members, path: string, value: unknown): Members {
  const copy = structuredClone(settings);
  const keys = path.split(".");
  const last = keys.pop() ?? "";
  const holder = keys.reduce<Members>((members, key) => members[key] as Members, copy);
  if (value === undefined) delete holder[last];
  else holder[last] = value;
  return copy;
}

function refusal(stack: string, settings: Members): DrError {
  return refused(() => parseStackSettings(stack, settings));
}

function refused(parse: () => unknown): DrError {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof DrError)) throw error;
    expect([error.code, error.exitCode, error.retryable]).to.deep.equal(["SETTING_INVALID", 2, false]);
    return error;
  }
  throw new Error("it was accepted");
}
