/** The provider stand-ins under the real engine: what a test of a stack may expect of them. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateClusterCommand, EKSClient } from "@aws-sdk/client-eks";
import { GetBucketLifecycleConfigurationCommand, S3Client } from "@aws-sdk/client-s3";
import * as aws from "@pulumi/aws";
import * as k8s from "@pulumi/kubernetes";
import type { OpMap, Stack } from "@pulumi/pulumi/automation/index.js";
import { LocalWorkspace, PulumiCommand } from "@pulumi/pulumi/automation/index.js";
import * as random from "@pulumi/random";
import { expect } from "chai";
import { AwsEmulator } from "../support/aws-emulator.ts";
import { EtcdServer, KubernetesServer } from "../support/kubernetes-server.ts";
import { installStandIns } from "../support/providers/plugins.ts";

describe("provider stand-ins", function () {
  this.timeout(120_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-stand-ins-"));
  let etcd: EtcdServer;
  let cluster: KubernetesServer;
  let stack: Stack;
  let emulator: AwsEmulator;
  let labels: Record<string, string> = { a: "1" };
  let selector: Record<string, string> = { app: "one" };
  let deployment = "one";
  let days = 30;

  before(async () => {
    etcd = await EtcdServer.start();
    cluster = await KubernetesServer.start(etcd, "stand-ins");
    const home = join(folder, "home");
    emulator = await AwsEmulator.start();
    installStandIns(home, ["aws", "kubernetes", "random"]);
    mkdirSync(join(folder, "state"));
    const roleArn = "arn:aws:iam::000000000000:role/cluster";
    await new EKSClient(atEmulator()).send(new CreateClusterCommand({ name: "test", roleArn, resourcesVpcConfig: {} }));
    stack = await LocalWorkspace.createStack(
      { stackName: "test", projectName: "stand-ins", program },
      {
        pulumiHome: home,
        pulumiCommand: await PulumiCommand.get({ skipVersionCheck: true }),
        envVars: {
          PULUMI_BACKEND_URL: `file://${join(folder, "state")}`,
          PULUMI_CONFIG_PASSPHRASE: "of-a-test",
          ...emulator.env,
          PULUMI_SKIP_UPDATE_CHECK: "true",
        },
      },
    );
  });
  after(async () => {
    await cluster?.stop();
    await etcd?.stop();
    await emulator?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function program() {
    declareObjects();
    declareCloud();
  }

  function declareObjects() {
    const provider = new k8s.Provider("kubernetes", { kubeconfig: cluster.kubeconfig, enableSecretMutable: true });
    const namespace = new k8s.core.v1.Namespace("namespace", { metadata: { name: "test", labels } }, { provider });
    const inNamespace = (name: string) => ({ name, namespace: namespace.metadata.name });
    const password = new random.RandomPassword("password", { length: 24, special: false });
    new k8s.core.v1.Secret(
      "secret",
      { metadata: inNamespace("one"), stringData: { key: password.result } },
      { provider },
    );
    const containers = [{ name: "one", image: "example.org/one@sha256:0" }];
    new k8s.apps.v1.Deployment(
      "deployment",
      {
        metadata: inNamespace(deployment),
        spec: {
          selector: { matchLabels: selector },
          template: { metadata: { labels: selector }, spec: { containers } },
        },
      },
      { provider },
    );
  }

  function declareCloud() {
    const [here, there] = ["eu-central-1", "eu-west-1"].map((region) => new aws.Provider(region, { region }));
    if (here === undefined || there === undefined) throw new Error("two regions");
    const key = new aws.kms.Key("key", { multiRegion: true, enableKeyRotation: true }, { provider: here });
    new aws.kms.Alias("alias", { name: "alias/one", targetKeyId: key.keyId }, { provider: here });
    const replica = new aws.kms.ReplicaKey("replica", { primaryKeyArn: key.arn }, { provider: there });
    const source = new aws.s3.Bucket("source", { bucket: "test-source", objectLockEnabled: true }, { provider: here });
    const target = new aws.s3.Bucket("target", { bucket: "test-target", objectLockEnabled: true }, { provider: there });
    const sets = { source: { bucket: source, provider: here }, target: { bucket: target, provider: there } };
    const versionings = Object.entries(sets).map(([name, { bucket, provider }]) => {
      const options = { provider, parent: bucket };
      const of = { bucket: bucket.bucket };
      new aws.s3.BucketOwnershipControls(
        `${name}-ownership`,
        { ...of, rule: { objectOwnership: "BucketOwnerEnforced" } },
        options,
      );
      new aws.s3.BucketPublicAccessBlock(
        `${name}-public`,
        {
          ...of,
          blockPublicAcls: true,
          blockPublicPolicy: true,
          ignorePublicAcls: true,
          restrictPublicBuckets: true,
        },
        options,
      );
      new aws.s3.BucketServerSideEncryptionConfiguration(
        `${name}-encryption`,
        {
          ...of,
          rules: [
            {
              applyServerSideEncryptionByDefault: {
                sseAlgorithm: "aws:kms",
                kmsMasterKeyId: name === "source" ? key.arn : replica.arn,
              },
              bucketKeyEnabled: true,
            },
          ],
        },
        options,
      );
      new aws.s3.BucketObjectLockConfiguration(
        `${name}-lock`,
        { ...of, rule: { defaultRetention: { mode: "COMPLIANCE", days: 30 } } },
        options,
      );
      new aws.s3.BucketLifecycleConfiguration(
        `${name}-lifecycle`,
        {
          ...of,
          rules: [
            {
              id: "old",
              status: "Enabled",
              filter: {},
              noncurrentVersionExpiration: { noncurrentDays: days },
              abortIncompleteMultipartUpload: { daysAfterInitiation: 7 },
            },
          ],
        },
        options,
      );
      const policy = bucket.arn.apply((arn) =>
        policyOf({ Effect: "Deny", Principal: "*", Action: "s3:DeleteObject", Resource: `${arn}/*` }),
      );
      new aws.s3.BucketPolicy(`${name}-policy`, { ...of, policy }, options);
      return new aws.s3.BucketVersioning(
        `${name}-versioning`,
        { ...of, versioningConfiguration: { status: "Enabled" } },
        options,
      );
    });
    const assumeRolePolicy = policyOf({ Principal: { Service: "s3.amazonaws.com" }, Action: "sts:AssumeRole" });
    const policy = policyOf({ Action: "s3:ListBucket", Resource: "*" });
    const role = new aws.iam.Role("role", { name: "replicates", assumeRolePolicy }, { provider: here });
    new aws.iam.RolePolicy("role-policy", { name: "may", role: role.name, policy }, { provider: here });
    new aws.s3.BucketReplicationConfig(
      "replication",
      {
        bucket: source.bucket,
        role: role.arn,
        rules: [
          {
            id: "all",
            status: "Enabled",
            filter: {},
            priority: 1,
            deleteMarkerReplication: { status: "Disabled" },
            sourceSelectionCriteria: { sseKmsEncryptedObjects: { status: "Enabled" } },
            destination: {
              bucket: target.arn,
              encryptionConfiguration: { replicaKmsKeyId: replica.arn },
              replicationTime: { status: "Enabled", time: { minutes: 15 } },
              metrics: { status: "Enabled", eventThreshold: { minutes: 15 } },
            },
          },
        ],
      },
      { provider: here, dependsOn: versionings },
    );
    new aws.eks.PodIdentityAssociation(
      "association",
      { clusterName: "test", namespace: "test", serviceAccount: "one", roleArn: role.arn },
      { provider: here },
    );
  }

  async function up(): Promise<OpMap> {
    const { summary } = await stack.up();
    return summary.resourceChanges ?? {};
  }

  function refusal(): Promise<Error> {
    return stack.up().then(
      () => new Error("it was not refused"),
      (error: Error) => error,
    );
  }

  it("what is declared is in the cluster and the cloud after `up`; once more nothing changes", async () => {
    expect(await up()).to.deep.equal({ create: 31 });
    const { body } = await cluster.call("GET", "/api/v1/namespaces/test/secrets/one");
    expect(Buffer.from(body.data.key, "base64").toString()).to.match(/^[A-Za-z0-9]{24}$/);
    expect(await daysKept()).to.equal(30);
    expect(await up()).to.deep.equal({ same: 31 });
  });

  it("a changed label and a changed rule are updates, a changed selector replaces", async () => {
    labels = { b: "2" };
    selector = { app: "two" };
    days = 60;
    expect(await up()).to.deep.equal({ same: 27, update: 3, replace: 1 });
    const { body } = await cluster.call("GET", "/api/v1/namespaces/test");
    expect(body.metadata.labels).to.include({ b: "2" }).and.not.have.property("a");
    expect(await daysKept()).to.equal(60);
  });

  it("what the server refuses fails `up`; corrected, `up` goes on", async () => {
    labels = { "not a label": "1" };
    expect((await refusal()).message).to.contain("metadata.labels: Invalid value");
    labels = { c: "3" };
    expect(await up()).to.deep.equal({ same: 30, update: 1 });
  });

  it("an object that is there already is not taken over", async () => {
    const labelled = { matchLabels: { app: "other" } };
    const template = { metadata: { labels: labelled.matchLabels }, spec: { containers: [{ name: "a", image: "b" }] } };
    await cluster.create("/apis/apps/v1/namespaces/test/deployments", {
      metadata: { name: "taken" },
      spec: { selector: labelled, template },
    });
    deployment = "taken";
    expect((await refusal()).message).to.contain("already exists");
    deployment = "one";
    expect(await up()).to.deep.equal({ same: 30, replace: 1 });
  });

  async function daysKept(): Promise<number | undefined> {
    const client = new S3Client(atEmulator());
    const { Rules } = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket: "test-source" }));
    client.destroy();
    return Rules?.[0]?.NoncurrentVersionExpiration?.NoncurrentDays;
  }

  function atEmulator() {
    return {
      region: "eu-central-1",
      endpoint: emulator.env["AWS_ENDPOINT_URL"] ?? "",
      credentials: { accessKeyId: "test", secretAccessKey: "test" },
      forcePathStyle: true,
    };
  }
});

function policyOf(statement: object): string {
  return JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", ...statement }] });
}
