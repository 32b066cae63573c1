/** Proves which role each job gets, who can take it, and word for word what it may do. That AWS judges it so is not proven. */
import { expect } from "chai";
import type { AwsIdentitiesArgs } from "../../components/aws/aws-identities.ts";
import { jobs } from "../../runtime/domain/job-names.ts";
import { type AwsSettings, awsSettingsSchema } from "../../runtime/domain/settings/aws-settings.ts";
import { awsOutputs } from "../support/stacks/aws-outputs.ts";
import { known, one, RecordedResources } from "../support/stacks/recorded-resources.ts";

const keyArn = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1";
const peerKeyArn = "arn:aws:kms:eu-central-1:111122223333:key/mrk-1";
const settings: AwsSettings = awsSettingsSchema.parse({
  account: "111122223333",
  region: "eu-west-1",
  keyArn,
  peer: { repository: "prod-points", control: "prod-control", keyArn: peerKeyArn },
  cluster: { podIdentity: { name: "search" } },
  tags: { team: "search" },
});
const stores = { repository: { bucket: "dr-points" }, control: { bucket: "dr-control" } };

describe("AwsIdentities", () => {
  let AwsIdentities: typeof import("../../components/aws/aws-identities.ts").AwsIdentities;
  let recorded: RecordedResources;

  before(async () => {
    recorded = new RecordedResources("dr", { outputsOf: awsOutputs });
    ({ AwsIdentities } = await import("../../components/aws/aws-identities.ts"));
  });

  async function declare(changes: Partial<AwsSettings> = {}, given: AwsIdentitiesArgs["stores"] = stores) {
    const from = recorded.count;
    const name = `dr-${from}`;
    const args = { region: "dr", namespace: "qdrant", jobs, settings: { ...settings, ...changes }, stores: given };
    const identities = new AwsIdentities(name, args);
    const resources = await recorded.since(from);
    return { name, resources, annotations: await known(identities.annotations) };
  }

  it("Pod Identity: for each job a role, its permissions and the association with its account; nothing on the account", async () => {
    const { annotations, name, resources } = await declare();
    const [component, ...children] = resources;
    const wanted = jobs.flatMap((job) => [
      `Role ${name}-${job}`,
      `RolePolicy ${name}-${job}-permissions`,
      `PodIdentityAssociation ${name}-${job}-association`,
    ]);
    expect(children.map(({ name, type }) => `${type.split(":").at(-1)} ${name}`)).to.have.members(wanted);
    for (const child of children) expect(child.parent, child.name).to.equal(component?.urn);
    expect(annotations).to.deep.equal(Object.fromEntries(jobs.map((job) => [job, {}])));
    const { dependencies, inputs } = one(resources, `${name}-verify-association`);
    expect(inputs).to.deep.equal({
      clusterName: "search",
      namespace: "qdrant",
      serviceAccount: "qdrant-dr-verify",
      roleArn: "arn:aws:iam::111122223333:role/qdrant-dr-dr-verify",
      tags: { team: "search" },
    });
    expect(dependencies).to.include(one(resources, `${name}-verify-permissions`).urn);
    const role = one(resources, `${name}-verify`).inputs;
    expect(role).to.deep.include({ name: "qdrant-dr-dr-verify", tags: { team: "search" } });
    expect(role).not.to.have.property("permissionsBoundary");
    expect(JSON.parse(role["assumeRolePolicy"] as string).Statement).to.deep.equal([
      {
        Sid: "PodsOfTheServiceAccount",
        Effect: "Allow",
        Principal: { Service: "pods.eks.amazonaws.com" },
        Action: ["sts:AssumeRole", "sts:TagSession"],
        Condition: {
          StringEquals: {
            "aws:RequestTag/eks-cluster-arn": "arn:aws:eks:eu-west-1:111122223333:cluster/search",
            "aws:RequestTag/kubernetes-namespace": "qdrant",
            "aws:RequestTag/kubernetes-service-account": "qdrant-dr-verify",
          },
        },
      },
    ]);
  });

  it("IRSA: the account's own token alone takes the role, whose ARN is written on the account", async () => {
    const issuer = "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE";
    const { annotations, name, resources } = await declare({ cluster: { irsa: { issuer } } });
    expect(resources).to.have.length(1 + 2 * jobs.length);
    expect(annotations.capture).to.deep.equal({
      "eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/qdrant-dr-dr-capture",
    });
    const { assumeRolePolicy } = one(resources, `${name}-capture`).inputs;
    expect(JSON.parse(assumeRolePolicy as string).Statement).to.deep.equal([
      {
        Sid: "PodsOfTheServiceAccount",
        Effect: "Allow",
        Principal: { Federated: `arn:aws:iam::111122223333:oidc-provider/${issuer}` },
        Action: "sts:AssumeRoleWithWebIdentity",
        Condition: {
          StringEquals: {
            [`${issuer}:aud`]: "sts.amazonaws.com",
            [`${issuer}:sub`]: "system:serviceaccount:qdrant:qdrant-dr-capture",
          },
        },
      },
    ]);
  });

  it("a permissions boundary bounds every role", async () => {
    const permissionsBoundaryArn = "arn:aws:iam::111122223333:policy/boundary";
    const { resources } = await declare({ permissionsBoundaryArn });
    const roles = resources.filter(({ type }) => type === "aws:iam/role:Role");
    expect(roles.map(({ inputs }) => inputs["permissionsBoundary"])).to.deep.equal(
      jobs.map(() => permissionsBoundaryArn),
    );
  });

  it("a copy reads both regions, and creates points here: word for word", async () => {
    const { name, resources } = await declare();
    const { policy, ...rest } = one(resources, `${name}-copy-permissions`).inputs;
    expect(rest).to.deep.equal({ role: "qdrant-dr-dr-copy", name: "copy" });
    const throughS3 = (region: string) => ({ StringEquals: { "kms:ViaService": `s3.${region}.amazonaws.com` } });
    expect(JSON.parse(policy as string)).to.deep.equal({
      Version: "2012-10-17",
      Statement: [
        {
          Sid: "ListOwn",
          Effect: "Allow",
          Action: "s3:ListBucket",
          Resource: ["arn:aws:s3:::dr-points", "arn:aws:s3:::dr-control"],
        },
        {
          Sid: "ReadOwn",
          Effect: "Allow",
          Action: "s3:GetObject",
          Resource: ["arn:aws:s3:::dr-points/*", "arn:aws:s3:::dr-control/*"],
        },
        { Sid: "OpenOwn", Effect: "Allow", Action: "kms:Decrypt", Resource: keyArn, Condition: throughS3("eu-west-1") },
        {
          Sid: "CreateOwn",
          Effect: "Allow",
          Action: "s3:PutObject",
          Resource: [
            "arn:aws:s3:::dr-points/repository.json*",
            "arn:aws:s3:::dr-points/packs/*",
            "arn:aws:s3:::dr-points/trees/*",
            "arn:aws:s3:::dr-points/facts/*",
            "arn:aws:s3:::dr-points/recovery-points/*/manifest*",
            "arn:aws:s3:::dr-points/sessions/*",
            "arn:aws:s3:::dr-control/keys/*",
            "arn:aws:s3:::dr-control/runs/*",
          ],
          Condition: { Null: { "s3:if-none-match": "false" } },
        },
        {
          Sid: "SealOwn",
          Effect: "Allow",
          Action: "kms:GenerateDataKey",
          Resource: keyArn,
          Condition: throughS3("eu-west-1"),
        },
        {
          Sid: "LockOwn",
          Effect: "Allow",
          Action: "s3:PutObjectRetention",
          Resource: [
            "arn:aws:s3:::dr-points/repository.json*",
            "arn:aws:s3:::dr-points/packs/*",
            "arn:aws:s3:::dr-points/trees/*",
            "arn:aws:s3:::dr-points/facts/*",
            "arn:aws:s3:::dr-points/recovery-points/*/manifest*",
          ],
        },
        {
          Sid: "ReadLocksOwn",
          Effect: "Allow",
          Action: "s3:GetObjectRetention",
          Resource: "arn:aws:s3:::dr-points/*",
        },
        {
          Sid: "LockRuleOwn",
          Effect: "Allow",
          Action: "s3:GetBucketObjectLockConfiguration",
          Resource: "arn:aws:s3:::dr-points",
        },
        {
          Sid: "ListPeer",
          Effect: "Allow",
          Action: "s3:ListBucket",
          Resource: ["arn:aws:s3:::prod-points", "arn:aws:s3:::prod-control"],
        },
        {
          Sid: "ReadPeer",
          Effect: "Allow",
          Action: "s3:GetObject",
          Resource: ["arn:aws:s3:::prod-points/*", "arn:aws:s3:::prod-control/*"],
        },
        {
          Sid: "OpenPeer",
          Effect: "Allow",
          Action: "kms:Decrypt",
          Resource: peerKeyArn,
          Condition: throughS3("eu-central-1"),
        },
      ],
    });
  });

  it("what brings folders to the other region creates points there and nothing here: word for word", async () => {
    const { name, resources } = await declare();
    const { policy } = one(resources, `${name}-replicate-folders-permissions`).inputs;
    const throughS3 = (region: string) => ({ StringEquals: { "kms:ViaService": `s3.${region}.amazonaws.com` } });
    expect(JSON.parse(policy as string).Statement).to.deep.equal([
      { Sid: "ListOwn", Effect: "Allow", Action: "s3:ListBucket", Resource: ["arn:aws:s3:::dr-control"] },
      { Sid: "ReadOwn", Effect: "Allow", Action: "s3:GetObject", Resource: ["arn:aws:s3:::dr-control/*"] },
      { Sid: "OpenOwn", Effect: "Allow", Action: "kms:Decrypt", Resource: keyArn, Condition: throughS3("eu-west-1") },
      {
        Sid: "ListPeer",
        Effect: "Allow",
        Action: "s3:ListBucket",
        Resource: ["arn:aws:s3:::prod-points", "arn:aws:s3:::prod-control"],
      },
      {
        Sid: "ReadPeer",
        Effect: "Allow",
        Action: "s3:GetObject",
        Resource: ["arn:aws:s3:::prod-points/*", "arn:aws:s3:::prod-control/*"],
      },
      {
        Sid: "OpenPeer",
        Effect: "Allow",
        Action: "kms:Decrypt",
        Resource: peerKeyArn,
        Condition: throughS3("eu-central-1"),
      },
      {
        Sid: "CreatePeer",
        Effect: "Allow",
        Action: "s3:PutObject",
        Resource: [
          "arn:aws:s3:::prod-points/repository.json*",
          "arn:aws:s3:::prod-points/packs/*",
          "arn:aws:s3:::prod-points/trees/*",
          "arn:aws:s3:::prod-points/facts/*",
          "arn:aws:s3:::prod-points/recovery-points/*/manifest*",
          "arn:aws:s3:::prod-points/recovery-points/*/attestations/doubted-*",
          "arn:aws:s3:::prod-points/sessions/*",
          "arn:aws:s3:::prod-points/stream/packs/*",
          "arn:aws:s3:::prod-points/stream/trees/*",
          "arn:aws:s3:::prod-points/stream/facts/*",
          "arn:aws:s3:::prod-points/stream/recovery-points/*/manifest*",
          "arn:aws:s3:::prod-points/stream/sessions/*",
          "arn:aws:s3:::prod-control/keys/*",
        ],
        Condition: { Null: { "s3:if-none-match": "false" } },
      },
      {
        Sid: "SealPeer",
        Effect: "Allow",
        Action: "kms:GenerateDataKey",
        Resource: peerKeyArn,
        Condition: throughS3("eu-central-1"),
      },
      {
        Sid: "LockPeer",
        Effect: "Allow",
        Action: "s3:PutObjectRetention",
        Resource: [
          "arn:aws:s3:::prod-points/repository.json*",
          "arn:aws:s3:::prod-points/packs/*",
          "arn:aws:s3:::prod-points/trees/*",
          "arn:aws:s3:::prod-points/facts/*",
          "arn:aws:s3:::prod-points/recovery-points/*/manifest*",
          "arn:aws:s3:::prod-points/recovery-points/*/attestations/doubted-*",
          "arn:aws:s3:::prod-points/stream/packs/*",
          "arn:aws:s3:::prod-points/stream/trees/*",
          "arn:aws:s3:::prod-points/stream/facts/*",
          "arn:aws:s3:::prod-points/stream/recovery-points/*/manifest*",
          "arn:aws:s3:::prod-points/stream/sessions/*",
        ],
      },
      {
        Sid: "ReadLocksPeer",
        Effect: "Allow",
        Action: "s3:GetObjectRetention",
        Resource: "arn:aws:s3:::prod-points/*",
      },
      {
        Sid: "LockRulePeer",
        Effect: "Allow",
        Action: "s3:GetBucketObjectLockConfiguration",
        Resource: "arn:aws:s3:::prod-points",
      },
      { Sid: "LeaveKeys", Effect: "Deny", Action: "s3:GetObject", Resource: ["arn:aws:s3:::dr-control/keys/*"] },
    ]);
  });

  it("what each job may create, whose it may read, and who may not read wrapped keys", async () => {
    const { name, resources } = await declare();
    const allowed = Object.fromEntries(
      jobs.map((job) => {
        const { policy } = one(resources, `${name}-${job}-permissions`).inputs;
        const statements: { Sid: string; Effect: string; Action: string; Resource: string[] }[] = JSON.parse(
          policy as string,
        ).Statement;
        const of = (sid: string) =>
          (statements.find(({ Sid }) => Sid === sid)?.Resource ?? []).map((arn) => arn.slice("arn:aws:s3:::".length));
        return [
          job,
          {
            reads: [...of("ListOwn"), ...of("ListPeer")],
            creates: [...of("CreateOwn"), ...of("CreatePeer")],
            never: of("LeaveKeys"),
            ...(of("DeleteOwn").length === 0 ? {} : { deletes: of("DeleteOwn") }),
          },
        ] as const;
      }),
    );
    const parts = ["packs/*", "trees/*", "facts/*", "recovery-points/*/manifest*"];
    const points = ["repository.json*", ...parts].map((key) => `dr-points/${key}`);
    const doubts = "recovery-points/*/attestations/doubted-*";
    const streamed = [...parts, "sessions/*"].map((key) => `stream/${key}`);
    const attested = (...kinds: string[]) => kinds.map((kind) => `dr-points/recovery-points/*/attestations/${kind}-*`);
    const own = ["dr-points", "dr-control"];
    const noKeys = ["dr-control/keys/*", "prod-control/keys/*"];
    expect(allowed).to.deep.equal({
      capture: {
        reads: own,
        creates: [
          ...points,
          `dr-points/${doubts}`,
          "dr-points/sessions/*",
          "dr-control/keys/*",
          "dr-control/snapshots/*",
          "dr-control/runs/*",
        ],
        never: [],
      },
      copy: {
        reads: [...own, "prod-points", "prod-control"],
        creates: [...points, "dr-points/sessions/*", "dr-control/keys/*", "dr-control/runs/*"],
        never: [],
      },
      verify: {
        reads: own,
        creates: [
          ...attested("verified", "quarantined", "folders-quarantined"),
          "dr-control/runs/*",
          "dr-control/verifications/*",
        ],
        never: [],
      },
      "test-restore": {
        reads: own,
        creates: [...attested("restored"), "dr-control/restores/*", "dr-control/runs/*"],
        never: [],
      },
      replicate: {
        reads: [...own, "prod-control"],
        creates: [
          ...points,
          `dr-points/${doubts}`,
          "dr-points/sessions/*",
          ...streamed.map((key) => `dr-points/${key}`),
          "dr-control/keys/*",
          "dr-control/snapshots/*",
          "dr-control/standby/*",
        ],
        never: ["prod-control/keys/*"],
      },
      "replicate-folders": {
        reads: ["dr-control", "prod-points", "prod-control"],
        creates: [
          ...["repository.json*", ...parts, doubts, "sessions/*", ...streamed].map((key) => `prod-points/${key}`),
          "prod-control/keys/*",
        ],
        never: ["dr-control/keys/*"],
      },
      "restore-folders": { reads: own, creates: ["dr-control/folders/*"], never: [] },
      prune: {
        reads: own,
        creates: ["dr-control/prunes/*", "dr-control/runs/*"],
        never: [],
        deletes: ["packs/*", "trees/*", "facts/*", "healed/*", "recovery-points/*", "sessions/*"].map(
          (key) => `dr-points/${key}`,
        ),
      },
      "prune-stream": { reads: own, creates: [], never: [], deletes: ["dr-points/stream/*"] },
      gate: { reads: ["dr-control", "prod-control"], creates: ["dr-control/epochs/*"], never: noKeys },
      exporter: { reads: [...own, "prod-control"], creates: [], never: ["prod-control/keys/*"] },
    });
  });

  it("a gate that needs a lease may make its links at the witness, and nothing else there", async () => {
    const { name, resources } = await declare({}, { ...stores, witness: { bucket: "witness" } });
    const { policy } = one(resources, `${name}-gate-permissions`).inputs;
    const leases = "arn:aws:s3:::witness/leases/*";
    expect(JSON.parse(policy as string).Statement.slice(-3)).to.deep.equal([
      { Sid: "ListLeases", Effect: "Allow", Action: "s3:ListBucket", Resource: "arn:aws:s3:::witness" },
      { Sid: "ReadLeases", Effect: "Allow", Action: "s3:GetObject", Resource: leases },
      {
        Sid: "CreateLeases",
        Effect: "Allow",
        Action: "s3:PutObject",
        Resource: leases,
        Condition: { Null: { "s3:if-none-match": "false" } },
      },
    ]);
    const others = resources.filter(({ inputs }) => String(inputs["policy"]).includes("witness"));
    expect(others).to.have.length(1);
  });

  it("no job but a prune may delete, and none may replace, change a bucket, lift a lock, change a key, or use a key but through S3", async () => {
    const { name, resources } = await declare();
    for (const job of jobs) {
      const { policy } = one(resources, `${name}-${job}-permissions`).inputs;
      const statements: { Sid: string; Effect: string; Action: string; Condition?: unknown }[] = JSON.parse(
        policy as string,
      ).Statement.filter(
        ({ Sid }: { Sid: string }) => !job.startsWith("prune") || !/^(Delete|Locks|Versions)/.test(Sid),
      );
      // The bucket bounds how long.
      const allowed = new Set(statements.filter(({ Effect }) => Effect === "Allow").map(({ Action }) => Action));
      const actions = ["s3:ListBucket", "s3:GetObject", "s3:PutObject", "kms:Decrypt", "kms:GenerateDataKey"];
      const locks = ["s3:PutObjectRetention", "s3:GetObjectRetention", "s3:GetBucketObjectLockConfiguration"];
      actions.push(...locks);
      expect(actions, job).to.include.members([...allowed]);
      for (const { Action, Condition } of statements) {
        if (!["s3:ListBucket", "s3:GetObject", ...locks].includes(Action))
          expect(Condition, `${job} ${Action}`).not.to.equal(undefined);
      }
    }
  });
});
