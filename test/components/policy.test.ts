/**
 * Proves that both kinds of stack keep every rule of the policy pack, and that each rule bites: for every change below, exactly
 * that rule tells it. That the engine runs the pack is proven in test/engine/policy-pack.test.ts.
 */
import * as aws from "@pulumi/aws";
import { expect } from "chai";
import type { DeclaredResource, Props } from "../../policy/rule.ts";
import { rules } from "../../policy/rules.ts";
import { awsSettingsSchema, parseBootstrapSettings } from "../../runtime/domain/estate/aws-settings.ts";
import { awsOutputs } from "../support/aws-outputs.ts";
import { RegionDeclarer } from "../support/kubernetes-region.ts";
import { RecordedResources, type Registration } from "../support/recorded-resources.ts";

// biome-ignore lint/suspicious/noExplicitAny: inputs of any resource, changed by path
type Loose = any;

const account = "111122223333";

describe("policy pack", () => {
  /** Resources of the foundation, and of a region's stack. */
  const stacks: { foundation: DeclaredResource[]; region: DeclaredResource[] } = { foundation: [], region: [] };

  before(async () => {
    stacks.foundation = await declareFoundation();
    stacks.region = [...(await declareIdentities()), ...(await declareRegion())];
  });

  for (const stack of ["foundation", "region"] as const) {
    it(`the ${stack} keeps every rule`, () => {
      expect(stacks[stack].length).to.be.greaterThan(20);
      expect(told(stacks[stack])).to.deep.equal([]);
    });
  }

  const repository = "qdrant-dr-prod-repository";
  const control = "qdrant-dr-prod-control";
  const withoutStatement = (sid: string) => changePolicy((statements) => statements.filter(({ Sid }) => Sid !== sid));
  const changes: [rule: string, what: string, stack: keyof typeof stacks, name: string, change: Change][] = [
    [
      "buckets-are-private",
      "a public policy is allowed",
      "foundation",
      `${repository}-public-access`,
      set("blockPublicPolicy", false),
    ],
    ["buckets-are-private", "nothing blocks public access", "foundation", `${control}-public-access`, remove],
    [
      "buckets-are-private",
      "writers own what they write",
      "foundation",
      `${control}-ownership`,
      set("rule.objectOwnership", "ObjectWriter"),
    ],
    [
      "buckets-are-private",
      "a policy lets everybody read",
      "foundation",
      `${repository}-policy`,
      withStatement({ Effect: "Allow", Principal: { AWS: "*" }, Action: "s3:GetObject" }),
    ],
    [
      "buckets-speak-tls",
      "plain HTTP is not refused",
      "foundation",
      "qdrant-dr-dr-state-policy",
      withoutStatement("RefusePlainHttp"),
    ],
    [
      "buckets-speak-tls",
      "plain HTTP is refused to some",
      "foundation",
      "qdrant-dr-dr-state-policy",
      changePolicy((all) =>
        all.map((one) => (one.Sid === "RefusePlainHttp" ? { ...one, Principal: { AWS: account } } : one)),
      ),
    ],
    [
      "buckets-are-encrypted",
      "S3's own key",
      "foundation",
      `${repository}-encryption`,
      set("rules.0.applyServerSideEncryptionByDefault", { sseAlgorithm: "AES256" }),
    ],
    [
      "nothing-expires",
      "versions are suspended",
      "foundation",
      `${repository}-versioning`,
      set("versioningConfiguration.status", "Suspended"),
    ],
    [
      "nothing-expires",
      "a lifecycle deletes",
      "foundation",
      `${repository}-lifecycle`,
      set("rules.0.expiration", { days: 90 }),
    ],
    [
      "nothing-expires",
      "a lifecycle moves to an archive",
      "foundation",
      `${repository}-lifecycle`,
      set("rules.1.transitions", [{ days: 1, storageClass: "GLACIER" }]),
    ],
    [
      "nothing-is-replaced",
      "the policy is gone from a control store but for TLS",
      "foundation",
      `${control}-policy`,
      withoutStatement("RefuseWritesThatCouldReplace"),
    ],
    [
      "nothing-is-replaced",
      "conditional writes are demanded of some requests",
      "foundation",
      `${repository}-policy`,
      changePolicy((all) =>
        all.map((one) =>
          one.Sid === "RefuseWritesThatCouldReplace"
            ? { ...one, Condition: { ...one.Condition, StringEquals: { "aws:PrincipalTag/a": "b" } } }
            : one,
        ),
      ),
    ],
    [
      "locked-as-long-as-kept",
      "evidence for a year",
      "foundation",
      "qdrant-dr-dr-audit-lock",
      set("rule.defaultRetention.days", 365),
    ],
    ["locked-as-long-as-kept", "no lock at all", "foundation", "qdrant-dr-dr-audit-lock", remove],
    [
      "locked-as-long-as-kept",
      "a bucket that cannot lock",
      "foundation",
      `${repository}-bucket`,
      set("objectLockEnabled", false),
    ],
    [
      "locked-as-long-as-kept",
      "deletes are allowed",
      "foundation",
      `${repository}-policy`,
      withoutStatement("RefuseDeletes"),
    ],
    [
      "replicas-are-as-good",
      "nothing tells that it is late",
      "foundation",
      `${repository}-replication-rules`,
      set("rules.0.destination.metrics", undefined),
    ],
    [
      "replicas-are-as-good",
      "no time control",
      "foundation",
      `${repository}-replication-rules`,
      set("rules.2.destination.replicationTime.status", "Disabled"),
    ],
    [
      "replicas-are-as-good",
      "deletes are replicated",
      "foundation",
      `${repository}-replication-rules`,
      set("rules.1.deleteMarkerReplication.status", "Enabled"),
    ],
    [
      "replicas-are-as-good",
      "replicas with S3's own key",
      "foundation",
      `${repository}-replication-rules`,
      set("rules.1.destination.encryptionConfiguration", undefined),
    ],
    [
      "replicas-are-as-good",
      "replicas in a longer lock",
      "foundation",
      "qdrant-dr-dr-repository-lock",
      set("rule.defaultRetention.days", 400),
    ],
    ["what-holds-data-is-protected", "a bucket can be destroyed", "foundation", `${repository}-bucket`, unprotect],
    [
      "what-holds-data-is-protected",
      "a bucket is emptied",
      "foundation",
      `${repository}-bucket`,
      set("forceDestroy", true),
    ],
    ["what-holds-data-is-protected", "a policy can be destroyed", "foundation", `${repository}-policy`, unprotect],
    ["what-holds-data-is-protected", "a key can be destroyed", "foundation", "qdrant-dr-data-key-replica", unprotect],
    [
      "what-holds-data-is-protected",
      "volumes go with their StatefulSet",
      "region",
      "qdrant-nodes",
      set("spec.persistentVolumeClaimRetentionPolicy.whenDeleted", "Delete"),
    ],
    [
      "keys-outlive-a-region",
      "a key in one region",
      "foundation",
      "qdrant-dr-state-key-key",
      set("multiRegion", false),
    ],
    [
      "keys-outlive-a-region",
      "a key that is never turned over",
      "foundation",
      "qdrant-dr-state-key-key",
      set("enableKeyRotation", false),
    ],
    [
      "keys-outlive-a-region",
      "a key that can be gone tomorrow",
      "foundation",
      "qdrant-dr-state-key-key",
      set("deletionWindowInDays", 7),
    ],
    ["keys-outlive-a-region", "a key whose replica is gone", "foundation", "qdrant-dr-data-key-replica", remove],
    [
      "roles-do-their-job",
      "all of S3",
      "region",
      "dr-identities-capture-permissions",
      withStatement({ Effect: "Allow", Action: "s3:*", Resource: "arn:aws:s3:::a/*" }),
    ],
    [
      "roles-do-their-job",
      "any bucket",
      "region",
      "dr-identities-capture-permissions",
      withStatement({ Effect: "Allow", Action: "s3:GetObject", Resource: "*" }),
    ],
    [
      "roles-do-their-job",
      "every bucket by its name",
      "region",
      "dr-identities-capture-permissions",
      withStatement({ Effect: "Allow", Action: ["s3:GetObject"], Resource: ["arn:aws:s3:::*"] }),
    ],
    [
      "roles-do-their-job",
      "deletes",
      "region",
      "dr-identities-copy-permissions",
      withStatement({ Effect: "Allow", Action: "s3:DeleteObject", Resource: "arn:aws:s3:::a/*" }),
    ],
    [
      "roles-do-their-job",
      "writes that replace",
      "region",
      "dr-identities-copy-permissions",
      changePolicy((all) => all.map(({ Condition, ...one }) => (one.Sid === "Create" ? one : { ...one, Condition }))),
    ],
    [
      "roles-do-their-job",
      "a key for any use",
      "region",
      "dr-identities-verify-permissions",
      changePolicy((all) => all.map(({ Condition, ...one }) => (one.Sid === "OpenOwn" ? one : { ...one, Condition }))),
    ],
    [
      "roles-do-their-job",
      "a policy in the role itself",
      "region",
      "dr-identities-verify",
      set("inlinePolicies", [
        { policy: JSON.stringify({ Statement: { Effect: "Allow", Action: "*", Resource: "*" } }) },
      ]),
    ],
    [
      "nothing-expires",
      "a lifecycle deletes on a day",
      "foundation",
      `${repository}-lifecycle`,
      set("rules.0.expiration", { date: "2030-01-01T00:00:00Z" }),
    ],
    [
      "roles-do-their-job",
      "a managed policy",
      "region",
      "dr-identities-verify",
      set("managedPolicyArns", ["arn:aws:iam::aws:policy/AdministratorAccess"]),
    ],
    [
      "roles-are-taken-by-their-own",
      "any pod",
      "region",
      "dr-identities-gate",
      changeTrust((all) => all.map(({ Condition: _condition, ...one }) => one)),
    ],
    [
      "roles-are-taken-by-their-own",
      "anybody",
      "region",
      "dr-identities-gate",
      changeTrust((all) => all.map((one) => ({ ...one, Principal: "*" }))),
    ],
    [
      "roles-are-taken-by-their-own",
      "S3 for any bucket",
      "foundation",
      "qdrant-dr-dr-state-replication-role",
      changeTrust((all) =>
        all.map((one) => ({ ...one, Condition: { StringEquals: { "aws:SourceAccount": account } } })),
      ),
    ],
    [
      "a-region-stands-alone",
      "a role's association in the other region",
      "region",
      "dr-identities-copy-association",
      (resource) => [{ ...resource, region: "eu-central-1" }],
    ],
    [
      "a-region-stands-alone",
      "points sealed with the other region's key",
      "region",
      "dr-identities-copy-permissions",
      changePolicy((all) =>
        all.map((one) =>
          one.Sid === "Seal" ? { ...one, Resource: `arn:aws:kms:eu-central-1:${account}:key/mrk-1` } : one,
        ),
      ),
    ],
    [
      "pods-are-restricted",
      "root",
      "region",
      "qdrant-nodes",
      set("spec.template.spec.securityContext.runAsNonRoot", false),
    ],
    ["pods-are-restricted", "user 0", "region", "qdrant-nodes", set("spec.template.spec.securityContext.runAsUser", 0)],
    [
      "pods-are-restricted",
      "any call of the kernel",
      "region",
      "schedules-verify",
      set("spec.jobTemplate.spec.template.spec.securityContext.seccompProfile", undefined),
    ],
    [
      "pods-are-restricted",
      "more privileges",
      "region",
      "replicator-deployment",
      set("spec.template.spec.containers.0.securityContext.allowPrivilegeEscalation", true),
    ],
    [
      "pods-are-restricted",
      "a privileged container",
      "region",
      "replicator-deployment",
      set("spec.template.spec.containers.0.securityContext.privileged", true),
    ],
    [
      "pods-are-restricted",
      "a capability",
      "region",
      "replicator-deployment",
      set("spec.template.spec.containers.0.securityContext.capabilities", { drop: ["ALL"], add: ["NET_ADMIN"] }),
    ],
    [
      "pods-are-restricted",
      "a root that can be written to, in a sidecar",
      "region",
      "schedules-test-restore",
      set("spec.jobTemplate.spec.template.spec.initContainers.0.securityContext.readOnlyRootFilesystem", false),
    ],
    [
      "pods-are-restricted",
      "the node's network",
      "region",
      "qdrant-nodes",
      set("spec.template.spec.hostNetwork", true),
    ],
    [
      "pods-are-restricted",
      "the node's files",
      "region",
      "qdrant-nodes",
      set("spec.template.spec.volumes.0", { name: "scratch", hostPath: { path: "/" } }),
    ],
    [
      "images-do-not-change",
      "a tag",
      "region",
      "qdrant-nodes",
      set("spec.template.spec.containers.0.image", "qdrant/qdrant:v1.19.0-unprivileged"),
    ],
    [
      "secrets-are-not-listed",
      "an API key in the environment",
      "region",
      "replicator-deployment",
      set("spec.template.spec.containers.0.env.0", { name: "QDRANT_API_KEY", value: "a" }),
    ],
    ["namespaces-enforce-it", "a namespace for any pod", "region", "namespace", set("metadata.labels", {})],
  ];
  for (const [rule, what, stack, name, change] of changes) {
    it(`${rule}: ${what}`, () => {
      const changed = changeOne(stacks[stack], name, change);
      expect([...new Set(told(changed))]).to.deep.equal([rule]);
    });
  }

  it("locked-as-long-as-kept: a week's lock, and the replicas that it is not enough for either", () => {
    const changed = changeOne(stacks.foundation, `${repository}-lock`, set("rule.defaultRetention.days", 7));
    expect([...new Set(told(changed))]).to.deep.equal(["locked-as-long-as-kept", "replicas-are-as-good"]);
  });

  it("every rule is among these", () => {
    expect([...new Set(changes.map(([rule]) => rule))].sort()).to.deep.equal(rules.map(({ name }) => name).sort());
    for (const { description } of rules) expect(description).to.match(/\.$/);
  });
});

/** Names of the rules that are not kept, once for each violation. */
function told(resources: readonly DeclaredResource[]): string[] {
  return rules.flatMap(({ name, violations }) => violations(resources).map(() => name));
}

type Change = (resource: DeclaredResource) => DeclaredResource[];

function changeOne(resources: readonly DeclaredResource[], name: string, change: Change): DeclaredResource[] {
  const found = resources.filter((resource) => resource.name === name || resource.name.endsWith(`-${name}`));
  const [one, ...more] = found.filter(({ type }) => !type.startsWith("qdrant-dr:"));
  if (one === undefined || more.length > 0) throw new Error(`not one ${name}: ${found.map((each) => each.name)}`);
  return resources.flatMap((resource) => (resource === one ? change(structuredClone(resource)) : [resource]));
}

function set(path: string, value: unknown): Change {
  return (resource) => {
    const steps = path.split(".");
    const last = steps.pop() as string;
    const holder = steps.reduce((value: Loose, step) => value[step], resource.props);
    if (holder === undefined) throw new Error(`${resource.name} has no ${path}`);
    holder[last] = value;
    return [resource];
  };
}

function remove(): DeclaredResource[] {
  return [];
}

function unprotect(resource: DeclaredResource): DeclaredResource[] {
  return [{ ...resource, isProtected: false }];
}

function changePolicy(change: (statements: Loose[]) => Loose[], property = "policy"): Change {
  return (resource) => {
    const document = JSON.parse(resource.props[property]);
    const Statement = change(document.Statement);
    if (JSON.stringify(Statement) === JSON.stringify(document.Statement))
      throw new Error(`${resource.name} stays as it is`);
    return [{ ...resource, props: { ...resource.props, [property]: JSON.stringify({ ...document, Statement }) } }];
  };
}

function changeTrust(change: (statements: Loose[]) => Loose[]): Change {
  return changePolicy(change, "assumeRolePolicy");
}

function withStatement(statement: Props): Change {
  return changePolicy((statements) => [...statements, statement]);
}

async function declareFoundation(): Promise<DeclaredResource[]> {
  const recorded = new RecordedResources("estate", { project: "qdrant-dr-bootstrap", outputsOf: awsOutputs });
  const { AwsFoundation } = await import("../../components/aws/aws-foundation.ts");
  const settings = parseBootstrapSettings("estate", {
    account,
    prefix: "example-qdr",
    regions: {
      prod: { region: "eu-central-1", repositoryLockDays: 365 },
      dr: { region: "eu-west-1", repositoryLockDays: 365 },
    },
    initialActive: "prod",
    replication: true,
  });
  const providers = Object.fromEntries(
    Object.entries(settings.regions).map(([name, { region }]) => [name, providerIn(`aws-${name}`, region)]),
  );
  new AwsFoundation("qdrant-dr", { settings, providers });
  return asDeclared(await recorded.since(0));
}

async function declareIdentities(): Promise<DeclaredResource[]> {
  const recorded = new RecordedResources("dr", { outputsOf: awsOutputs });
  const { AwsIdentities } = await import("../../components/aws/aws-identities.ts");
  const settings = awsSettingsSchema.parse({
    account,
    region: "eu-west-1",
    keyArn: `arn:aws:kms:eu-west-1:${account}:key/mrk-1`,
    peer: {
      repository: "prod-points",
      control: "prod-control",
      keyArn: `arn:aws:kms:eu-central-1:${account}:key/mrk-1`,
    },
    cluster: { podIdentity: { name: "search" } },
  });
  const stores = { repository: { bucket: "dr-points" }, control: { bucket: "dr-control" } };
  const args = { region: "dr", namespace: "qdrant", settings, stores };
  new AwsIdentities("dr-identities", args, { providers: [providerIn("aws", "eu-west-1")] });
  return asDeclared(await recorded.since(0));
}

async function declareRegion(): Promise<DeclaredResource[]> {
  const { resources } = await new RegionDeclarer().declare({ role: "standby" });
  return asDeclared(resources);
}

function providerIn(name: string, region: string): aws.Provider {
  return new aws.Provider(name, { region: region as aws.Region });
}

function asDeclared(resources: readonly Registration[]): DeclaredResource[] {
  const regions = new Map(
    resources
      .filter(({ type }) => type === "pulumi:providers:aws")
      .map(({ inputs, urn }) => [urn, inputs["region"] as string]),
  );
  return resources.map(({ inputs, name, protect, provider, type, urn }) => ({
    ...{ name, type, urn, props: inputs, isProtected: protect },
    region: regions.get(provider.split("::").slice(0, 4).join("::")),
  }));
}
