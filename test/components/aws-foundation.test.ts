/**
 * Proves which resources the foundation of both regions declares, with which inputs, parents, protection and providers. It
 * does not prove that AWS takes them: test/engine runs them against an emulator, which does not prove it either.
 */
import * as aws from "@pulumi/aws";
import { expect } from "chai";
import { type BootstrapSettings, parseBootstrapSettings } from "../../runtime/domain/settings/aws-settings.ts";
import { awsOutputs } from "../support/stacks/aws-outputs.ts";
import { known, one, RecordedResources } from "../support/stacks/recorded-resources.ts";

const dataKeyArns = {
  prod: "arn:aws:kms:eu-central-1:111122223333:key/mrk-qdrant-dr-data-key",
  dr: "arn:aws:kms:eu-west-1:111122223333:key/mrk-qdrant-dr-data-key",
};
const given = {
  account: "111122223333",
  prefix: "example-qdr",
  regions: {
    prod: { region: "eu-central-1", longestLockDays: 30 },
    dr: { region: "eu-west-1", longestLockDays: 365 },
  },
  initialActive: "prod",
  tags: { team: "search" },
};

describe("AwsFoundation", () => {
  let AwsFoundation: typeof import("../../components/aws/aws-foundation.ts").AwsFoundation;
  let recorded: RecordedResources;

  before(async () => {
    recorded = new RecordedResources("estate", { project: "qdrant-dr-bootstrap", outputsOf: awsOutputs });
    ({ AwsFoundation } = await import("../../components/aws/aws-foundation.ts"));
  });

  async function declare(changes: Partial<BootstrapSettings> = {}) {
    const settings = parseBootstrapSettings("estate", { ...given, ...changes });
    const from = recorded.count;
    const providers = Object.fromEntries(
      Object.entries(settings.regions).map(([name, { region }]) => [
        name,
        new aws.Provider(`aws-${name}`, { region: region as aws.Region }),
      ]),
    );
    const foundation = new AwsFoundation("qdrant-dr", { settings, providers });
    const resources = await recorded.since(from);
    return { resources, regions: await known(foundation.regions) };
  }

  it("keys, four buckets a region and the replication of the state: named after their parents, in as many as it takes", async () => {
    const { resources } = await declare();
    const counts: Record<string, number> = {};
    for (const { type } of resources)
      counts[type.split(":").at(-1) as string] = (counts[type.split(":").at(-1) as string] ?? 0) + 1;
    expect(counts).to.deep.equal({
      AwsFoundation: 1,
      aws: 2,
      MultiRegionKey: 2,
      Key: 2,
      ReplicaKey: 2,
      Alias: 4,
      AwsStores: 2,
      StoreBucket: 8,
      Bucket: 8,
      BucketVersioning: 8,
      BucketOwnershipControls: 8,
      BucketPublicAccessBlock: 8,
      BucketServerSideEncryptionConfiguration: 8,
      BucketLifecycleConfiguration: 8,
      BucketObjectLockConfiguration: 4,
      BucketPolicy: 8,
      BucketReplication: 2,
      Role: 2,
      RolePolicy: 2,
      BucketReplicationConfig: 2,
    });
    const byUrn = new Map(resources.map((resource) => [resource.urn, resource]));
    for (const { name, parent, type } of resources) {
      if (type.startsWith("pulumi:providers:") || type === "qdrant-dr:aws:AwsFoundation") continue;
      const above = byUrn.get(parent);
      expect(above, name).not.to.equal(undefined);
      expect(name.startsWith(`${above?.name}-`), name).to.equal(true);
    }
    expect(new Set(resources.map(({ urn }) => urn)).size).to.equal(resources.length);
  });

  it("each region's resources are made by that region's provider, with nothing by a default one", async () => {
    const { resources } = await declare({ replication: true });
    for (const { name, provider, type } of resources) {
      if (!type.startsWith("aws:")) continue;
      const isDr = name.startsWith("qdrant-dr-dr-") || name.includes("-replica");
      const wanted = isDr && !name.startsWith("qdrant-dr-prod-") ? "::aws-dr::" : "::aws-prod::";
      expect(provider, name).to.contain(wanted);
    }
  });

  it("everything is protected, and what holds data is kept, with everything that guards it, if it is destroyed nevertheless", async () => {
    const { resources } = await declare({ replication: true });
    for (const { name, protect, type } of resources) {
      expect(protect, name).to.equal(!type.startsWith("pulumi:providers:"));
    }
    // The engine hands it on to children.
    const kept = resources.filter(({ retainOnDelete }) => retainOnDelete);
    const keepers = resources.filter(({ type }) => /:(MultiRegionKey|StoreBucket)$/.test(type));
    expect(kept).to.have.length(10).and.to.deep.equal(keepers);
  });

  it("the repository: objects locked one by one, versioned, private, encrypted with the region's key, tidied of what nobody reads", async () => {
    const { resources } = await declare();
    const of = (suffix: string) => one(resources, `qdrant-dr-dr-repository-${suffix}`).inputs;
    const bucket = "example-qdr-dr-repository";
    expect(of("bucket")).to.deep.equal({
      bucket,
      objectLockEnabled: true,
      forceDestroy: false,
      tags: { team: "search", "qdrant-dr:holds": "repository" },
    });
    expect(of("versioning")).to.deep.equal({ bucket, versioningConfiguration: { status: "Enabled" } });
    expect(of("ownership")).to.deep.equal({ bucket, rule: { objectOwnership: "BucketOwnerEnforced" } });
    expect(of("public-access")).to.deep.equal({
      bucket,
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    });
    expect(of("encryption")).to.deep.equal({
      bucket,
      rules: [
        {
          applyServerSideEncryptionByDefault: { sseAlgorithm: "aws:kms", kmsMasterKeyId: dataKeyArns.dr },
          bucketKeyEnabled: true,
        },
      ],
    });
    expect(of("lock")).to.deep.equal({ bucket, rule: { defaultRetention: { mode: "COMPLIANCE", days: 1 } } });
    expect(of("lifecycle")).to.deep.equal({
      bucket,
      rules: [
        {
          id: "noncurrent-versions",
          status: "Enabled",
          filter: { prefix: "" },
          noncurrentVersionExpiration: { noncurrentDays: 30 },
        },
        {
          id: "aborted-uploads",
          status: "Enabled",
          filter: { prefix: "" },
          abortIncompleteMultipartUpload: { daysAfterInitiation: 7 },
        },
      ],
    });
  });

  it("locks: recovery points from the first day on, evidence two years; governance when asked for; records and state have none", async () => {
    const locksOf = async (changes: Partial<BootstrapSettings>) => {
      const { resources } = await declare(changes);
      const locks = resources.filter(({ type }) => type.endsWith(":BucketObjectLockConfiguration"));
      return Object.fromEntries(
        locks.map(({ inputs }) => [
          inputs["bucket"],
          (inputs["rule"] as { defaultRetention: unknown }).defaultRetention,
        ]),
      );
    };
    expect(await locksOf({})).to.deep.equal({
      "example-qdr-prod-repository": { mode: "COMPLIANCE", days: 1 },
      "example-qdr-prod-audit": { mode: "COMPLIANCE", days: 730 },
      "example-qdr-dr-repository": { mode: "COMPLIANCE", days: 1 },
      "example-qdr-dr-audit": { mode: "COMPLIANCE", days: 730 },
    });
    const governance = await locksOf({ lockMode: "governance" });
    expect(new Set(Object.values(governance).map((lock) => (lock as { mode: string }).mode))).to.deep.equal(
      new Set(["GOVERNANCE"]),
    );
  });

  it("bucket policies: which store refuses what", async () => {
    const { resources } = await declare();
    const always = [
      "RefusePlainHttp",
      "RefuseOldTls",
      "RefuseOtherEncryption",
      "RefuseOtherKeys",
      "RefuseKeysOfClients",
    ];
    const createOnly = [...always, "RefuseWritesThatCouldReplace"];
    const locked = [...createOnly, "RefuseDeletes", "RefuseLongerLocks", "RefuseShorterLocks"];
    const deletes = ["RefuseDeletes", "RefuseDeletesOfVersions", "RefuseDeletesOfHistory"];
    const pruned = [...createOnly, ...deletes, "RefuseLongerLocks"];
    for (const [kind, refused] of Object.entries({
      repository: pruned,
      control: createOnly,
      audit: locked,
      state: [...always, "RefuseWritesIntoTheReplica", "RefuseReplicasOfOthers"],
    })) {
      const { inputs } = one(resources, `qdrant-dr-prod-${kind}-policy`);
      const statements = statementsOf(inputs);
      expect(
        statements.map(({ Sid }) => Sid),
        kind,
      ).to.deep.equal(refused);
      for (const { Effect, Principal, Resource } of statements) {
        expect({ Effect, Principal }).to.deep.equal({ Effect: "Deny", Principal: "*" });
        expect(
          [Resource]
            .flat()
            .every((arn) => /^arn:aws:s3:::example-qdr-prod-[a-z]+(\/([a-z-]+\/)?\*)?$/.test(arn as string)),
        ).to.equal(true);
      }
    }
  });

  it("the repository's policy, word for word", async () => {
    const { resources } = await declare();
    const objects = "arn:aws:s3:::example-qdr-prod-repository/*";
    const everything = { Action: "s3:*", Resource: ["arn:aws:s3:::example-qdr-prod-repository", objects] };
    const write = { Action: "s3:PutObject", Resource: objects };
    const lock = { Action: ["s3:PutObject", "s3:PutObjectRetention"], Resource: objects };
    const way = "s3:x-amz-server-side-encryption";
    const prune = `arn:aws:iam::111122223333:role/qdrant-dr-prod-prune`;
    const refused = statementsOf(one(resources, "qdrant-dr-prod-repository-policy").inputs);
    expect(refused.map(({ Effect: _effect, Principal: _principal, Sid: _sid, ...rest }) => rest)).to.deep.equal([
      { ...everything, Condition: { Bool: { "aws:SecureTransport": "false" } } },
      { ...everything, Condition: { NumericLessThan: { "s3:TlsVersion": "1.2" } } },
      { ...write, Condition: { Null: { [way]: "false" }, StringNotEquals: { [way]: "aws:kms" } } },
      {
        ...write,
        Condition: {
          Null: { [`${way}-aws-kms-key-id`]: "false" },
          StringNotEquals: { [`${way}-aws-kms-key-id`]: dataKeyArns.prod },
        },
      },
      { ...write, Condition: { Null: { [`${way}-customer-algorithm`]: "false" } } },
      {
        ...write,
        Condition: { Null: { "s3:if-none-match": "true" }, Bool: { "s3:ObjectCreationOperation": "true" } },
      },
      { Action: ["s3:DeleteObject", "s3:BypassGovernanceRetention", "s3:PutObjectLegalHold"], Resource: objects },
      {
        Action: "s3:DeleteObjectVersion",
        Resource: objects,
        Condition: { ArnNotEquals: { "aws:PrincipalArn": [prune, `${prune}-stream`] } },
      },
      {
        Action: "s3:DeleteObjectVersion",
        Resource: ["packs", "trees", "facts", "healed", "recovery-points", "sessions"].map(
          (prefix) => `arn:aws:s3:::example-qdr-prod-repository/${prefix}/*`,
        ),
        Condition: { ArnNotEquals: { "aws:PrincipalArn": [prune] } },
      },
      { ...lock, Condition: { NumericGreaterThan: { "s3:object-lock-remaining-retention-days": "35" } } },
    ]);
    const ofAudit = statementsOf(one(resources, "qdrant-dr-prod-audit-policy").inputs).slice(-2);
    expect(ofAudit.map(({ Condition }) => Condition)).to.deep.equal([
      { NumericGreaterThan: { "s3:object-lock-remaining-retention-days": "730" } },
      { NumericLessThan: { "s3:object-lock-remaining-retention-days": "729" } },
    ]);
  });

  it("a bucket can be used once all of its guards stand: S3 is told of its policy after its public access is blocked", async () => {
    const { resources } = await declare();
    const urn = (suffix: string) => one(resources, `qdrant-dr-prod-repository-${suffix}`).urn;
    const waits = (suffix: string) => one(resources, `qdrant-dr-prod-repository-${suffix}`).dependencies;
    expect(waits("policy")).to.include.members([urn("public-access"), urn("ownership")]);
    expect(waits("lock")).to.include(urn("versioning"));
    expect(waits("lifecycle")).to.include(urn("versioning"));
    const rules = one(resources, "qdrant-dr-prod-state-replication-rules").dependencies;
    for (const region of ["prod", "dr"]) {
      const guards = ["versioning", "encryption", "policy"].map(
        (suffix) => one(resources, `qdrant-dr-${region}-state-${suffix}`).urn,
      );
      expect(rules).to.include.members(guards);
    }
  });

  it("keys: one for data, one for state, each in both regions, turned over every year, with the same name", async () => {
    const { resources } = await declare();
    const { policy, ...key } = one(resources, "qdrant-dr-data-key-key").inputs;
    expect(key).to.deep.equal({
      description: "Recovery points, records and evidence of qdrant-dr",
      multiRegion: true,
      enableKeyRotation: true,
      deletionWindowInDays: 30,
      bypassPolicyLockoutSafetyCheck: true,
      tags: { team: "search" },
    });
    const [, ...refused] = statementsOf({ policy });
    const everybody = { Effect: "Deny", Principal: { AWS: "*" }, Resource: "*" };
    expect(refused).to.deep.equal([
      {
        Sid: "RefuseToEndIt",
        ...everybody,
        Action: ["kms:ScheduleKeyDeletion", "kms:DisableKey", "kms:PutKeyPolicy", "kms:DeleteImportedKeyMaterial"],
        Condition: { ArnNotEquals: { "aws:PrincipalArn": "arn:aws:iam::111122223333:root" } },
      },
      {
        Sid: "RefuseToEndItSoon",
        ...everybody,
        Action: "kms:ScheduleKeyDeletion",
        Condition: { NumericLessThan: { "kms:ScheduleKeyDeletionPendingWindowInDays": "30" } },
      },
    ]);
    const breakGlassArn = "arn:aws:iam::111122223333:role/break-glass";
    const { resources: named } = await declare({ breakGlassArn });
    for (const one of ["key", "replica"]) {
      const [, { Condition } = {}] = statementsOf(
        named.find(({ name }) => name === `qdrant-dr-state-key-${one}`)?.inputs ?? {},
      );
      expect(Condition).to.deep.equal({ ArnNotEquals: { "aws:PrincipalArn": breakGlassArn } });
    }
    expect(one(resources, "qdrant-dr-data-key-replica").inputs).to.include({ primaryKeyArn: dataKeyArns.prod });
    for (const alias of ["alias", "replica-alias"]) {
      expect(one(resources, `qdrant-dr-state-key-${alias}`).inputs).to.include({ name: "alias/example-qdr-state-key" });
    }
  });

  it("what recovery points are made of is replicated when asked: packs, trees and facts, no manifest, in 15 minutes, sealed with the other region's key, nothing deleted", async () => {
    const { resources } = await declare({ replication: true });
    const { role, rules, ...rest } = one(resources, "qdrant-dr-prod-repository-replication-rules").inputs;
    expect(rest).to.deep.equal({ bucket: "example-qdr-prod-repository" });
    expect(role).to.equal("arn:aws:iam::111122223333:role/example-qdr-prod-repository");
    expect(rules).to.deep.equal(
      ["packs", "trees", "facts"].map((id, index) => ({
        id,
        priority: index + 1,
        status: "Enabled",
        filter: { prefix: `${id}/` },
        deleteMarkerReplication: { status: "Disabled" },
        sourceSelectionCriteria: { sseKmsEncryptedObjects: { status: "Enabled" } },
        destination: {
          bucket: "arn:aws:s3:::example-qdr-dr-repository",
          encryptionConfiguration: { replicaKmsKeyId: dataKeyArns.dr },
          replicationTime: { status: "Enabled", time: { minutes: 15 } },
          metrics: { status: "Enabled", eventThreshold: { minutes: 15 } },
        },
      })),
    );
    expect(resources.filter(({ type }) => type.endsWith(":BucketReplicationConfig"))).to.have.length(4);
  });

  it("state: of its own stacks alone, below its region's name, where nobody writes in the other region but S3; no delete goes there", async () => {
    const { resources } = await declare();
    const { rules } = one(resources, "qdrant-dr-prod-state-replication-rules").inputs as {
      rules: { filter: unknown; deleteMarkerReplication: unknown }[];
    };
    const parts = ["prod/.pulumi/stacks/", "prod/.pulumi/meta.yaml"];
    expect(rules.map(({ filter }) => filter)).to.deep.equal(parts.map((prefix) => ({ prefix })));
    for (const { deleteMarkerReplication } of rules) {
      expect(deleteMarkerReplication).to.deep.equal({ status: "Disabled" });
    }
    const allowed = statementsOf(one(resources, "qdrant-dr-prod-state-replication-permissions").inputs);
    const resourcesOf = (sid: string) => allowed.find(({ Sid }) => Sid === sid)?.Resource;
    expect(resourcesOf("WriteReplicas")).to.deep.equal(
      parts.map((part) => `arn:aws:s3:::example-qdr-dr-state/${part}*`),
    );
    const refused = statementsOf(one(resources, "qdrant-dr-dr-state-policy").inputs).slice(-2);
    expect(refused.map(({ Effect: _effect, Principal: _principal, Sid: _sid, ...rest }) => rest)).to.deep.equal([
      { Action: ["s3:PutObject", "s3:DeleteObject"], Resource: "arn:aws:s3:::example-qdr-dr-state/prod/*" },
      {
        Action: ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"],
        Resource: "arn:aws:s3:::example-qdr-dr-state/*",
        Condition: { ArnNotEquals: { "aws:PrincipalArn": "arn:aws:iam::111122223333:role/example-qdr-prod-state" } },
      },
    ]);
  });

  it("the role of a replication: for this bucket's S3 alone, out of this bucket, into that one, with these two keys", async () => {
    const { resources } = await declare({ replication: true });
    const { assumeRolePolicy } = one(resources, "qdrant-dr-dr-repository-replication-role").inputs;
    expect(JSON.parse(assumeRolePolicy as string).Statement).to.deep.equal([
      {
        Sid: "S3OnBehalfOfTheBucket",
        Effect: "Allow",
        Principal: { Service: "s3.amazonaws.com" },
        Action: "sts:AssumeRole",
        Condition: {
          StringEquals: { "aws:SourceAccount": "111122223333" },
          ArnEquals: { "aws:SourceArn": "arn:aws:s3:::example-qdr-dr-repository" },
        },
      },
    ]);
    const allowed = statementsOf(one(resources, "qdrant-dr-dr-repository-replication-permissions").inputs);
    const below = (region: string) =>
      ["packs", "trees", "facts"].map((part) => `arn:aws:s3:::example-qdr-${region}-repository/${part}/*`);
    const keyOf = (bucket: string, region: string) => ({
      StringEquals: { "kms:ViaService": `s3.${region}.amazonaws.com` },
      StringLike: { "kms:EncryptionContext:aws:s3:arn": [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`] },
    });
    expect(allowed).to.deep.equal([
      {
        Sid: "ReadTheRules",
        Effect: "Allow",
        Action: ["s3:GetReplicationConfiguration", "s3:ListBucket"],
        Resource: "arn:aws:s3:::example-qdr-dr-repository",
      },
      {
        Sid: "ReadVersions",
        Effect: "Allow",
        Action: [
          "s3:GetObjectVersionForReplication",
          "s3:GetObjectVersionAcl",
          "s3:GetObjectVersionTagging",
          "s3:GetObjectRetention",
          "s3:GetObjectLegalHold",
        ],
        Resource: below("dr"),
      },
      {
        Sid: "WriteReplicas",
        Effect: "Allow",
        Action: ["s3:ReplicateObject", "s3:ReplicateTags"],
        Resource: below("prod"),
      },
      {
        Sid: "OpenSources",
        Effect: "Allow",
        Action: "kms:Decrypt",
        Resource: dataKeyArns.dr,
        Condition: keyOf("example-qdr-dr-repository", "eu-west-1"),
      },
      {
        Sid: "SealReplicas",
        Effect: "Allow",
        Action: ["kms:Encrypt", "kms:GenerateDataKey"],
        Resource: dataKeyArns.prod,
        Condition: keyOf("example-qdr-prod-repository", "eu-central-1"),
      },
    ]);
  });

  it("outputs: of each region the settings of its stack, and where its state and its secrets' key are", async () => {
    const { regions } = await declare();
    expect(Object.keys(regions)).to.deep.equal(["prod", "dr"]);
    expect(regions["dr"]).to.deep.equal({
      stores: {
        repository: { bucket: "example-qdr-dr-repository", region: "eu-west-1" },
        control: { bucket: "example-qdr-dr-control", region: "eu-west-1" },
      },
      aws: {
        account: "111122223333",
        region: "eu-west-1",
        keyArn: dataKeyArns.dr,
        peer: {
          repository: "example-qdr-prod-repository",
          control: "example-qdr-prod-control",
          keyArn: dataKeyArns.prod,
        },
      },
      audit: "example-qdr-dr-audit",
      backend: "s3://example-qdr-dr-state/dr?region=eu-west-1",
      secretsProvider: "awskms://alias/example-qdr-state-key?region=eu-west-1",
      images: undefined,
    });
  });

  it("images, when asked for: two repositories in each region, whose tags stay what they are, copied into the other region", async () => {
    const { regions, resources } = await declare({ images: true });
    for (const [region, there] of [
      ["prod", "eu-west-1"],
      ["dr", "eu-central-1"],
    ] as const) {
      const of = (suffix: string) => one(resources, `qdrant-dr-${region}-images-${suffix}`);
      for (const image of ["qdrant-dr", "qdrant"]) {
        expect(of(image).inputs).to.deep.equal({
          name: `example-qdr/${image}`,
          imageTagMutability: "IMMUTABLE",
          imageScanningConfiguration: { scanOnPush: true },
          forceDelete: false,
          tags: { team: "search" },
        });
        expect(of(image).provider).to.contain(`::aws-${region}::`);
      }
      expect(of("replication").inputs).to.deep.equal({
        replicationConfiguration: {
          rules: [
            {
              destinations: [{ region: there, registryId: "111122223333" }],
              repositoryFilters: [{ filter: "example-qdr/", filterType: "PREFIX_MATCH" }],
            },
          ],
        },
      });
    }
    expect(regions["dr"]?.images).to.deep.equal({
      "qdrant-dr": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/example-qdr/qdrant-dr",
      qdrant: "111122223333.dkr.ecr.eu-west-1.amazonaws.com/example-qdr/qdrant",
    });
  });
});

interface Statement {
  readonly Sid: string;
  readonly Effect: string;
  readonly Principal?: unknown;
  readonly Action: unknown;
  readonly Resource: unknown;
  readonly Condition?: unknown;
}

function statementsOf(inputs: Readonly<Record<string, unknown>>): Statement[] {
  return JSON.parse(inputs["policy"] as string).Statement;
}
