/** What each job may do in S3: read what it needs, create under the prefixes it writes, and never delete. */
import type { Job } from "../../runtime/domain/jobs.ts";
import { controlLayout, storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import type { AwsSettings } from "../../runtime/domain/settings/aws-settings.ts";
import { bucketArn, type Statement } from "./policy-document.ts";

/** Of each store that the job reads, the prefixes that it creates objects under. */
type Creates = Readonly<Partial<Record<"repository" | "control", readonly string[]>>>;

interface Needs {
  readonly own: Creates;
  readonly peer?: Creates;
  /** Whose wrapped keys are none of its business. */
  readonly withoutKeysOf?: readonly ("own" | "peer")[];
}

const capturedParts = [storeLayout.repository, storeLayout.packs, storeLayout.trees, storeLayout.recoveryPoints];
const attestations = [`${storeLayout.recoveryPoints}*/attestations/`];

const needsOf: Readonly<Record<Job, Needs>> = {
  capture: {
    own: {
      repository: [...capturedParts, storeLayout.sessions],
      control: [controlLayout.keys, controlLayout.snapshots, controlLayout.runs],
    },
  },
  copy: {
    own: { repository: capturedParts, control: [controlLayout.keys, controlLayout.runs] },
    peer: { repository: [], control: [] },
  },
  verify: { own: { repository: attestations, control: [controlLayout.runs] } },
  "test-restore": { own: { repository: attestations, control: [controlLayout.restores, controlLayout.runs] } },
  replicate: {
    own: {
      repository: [...capturedParts, storeLayout.sessions],
      control: [controlLayout.keys, controlLayout.snapshots, controlLayout.standby],
    },
    peer: { control: [] },
    withoutKeysOf: ["peer"],
  },
  // Folders are read here, and their recovery points are the other region's.
  "replicate-folders": {
    own: { control: [] },
    peer: { repository: [...capturedParts, storeLayout.sessions], control: [controlLayout.keys] },
    withoutKeysOf: ["own"],
  },
  // A guard carries an epoch home that only the other region was told of.
  gate: { own: { control: [controlLayout.epochs] }, peer: { control: [] }, withoutKeysOf: ["own", "peer"] },
  // Manifests and trees are sealed: whoever tells which recovery points are complete opens them.
  exporter: { own: { repository: [], control: [] }, peer: { control: [] }, withoutKeysOf: ["peer"] },
};

/** Of one region. */
type Buckets = AwsSettings["peer"];

export interface JobStores extends Buckets {
  readonly peer: Buckets;
  /** The bucket of the gate's leases, encrypted with S3's own key: what it holds is no secret. */
  readonly witness?: string | undefined;
}

export function jobStatements(job: Job, stores: JobStores): Statement[] {
  const { own, peer, withoutKeysOf = [] } = needsOf[job];
  const controls = { own: stores.control, peer: stores.peer.control };
  return [
    ...using("Own", own, stores),
    ...(peer === undefined ? [] : using("Peer", peer, stores.peer)),
    ...(withoutKeysOf.length === 0 ? [] : [leavingKeys(withoutKeysOf.map((whose) => controls[whose]))]),
    ...(job === "gate" && stores.witness !== undefined ? holdingLeases(stores.witness) : []),
  ];
}

function using(whose: "Own" | "Peer", creates: Creates, buckets: Buckets): Statement[] {
  const used = (["repository", "control"] as const).filter((kind) => creates[kind] !== undefined);
  const created = used.flatMap((kind) => (creates[kind] ?? []).map((prefix) => objectsUnder(buckets[kind], prefix)));
  const read = used.map((kind) => buckets[kind]);
  return [
    ...reading(whose, read, buckets.keyArn),
    ...(created.length === 0 ? [] : creating(whose, created, buckets.keyArn)),
  ];
}

function objectsUnder(bucket: string, prefix: string): string {
  return `${bucketArn(bucket)}/${prefix}${prefix.endsWith("/") ? "*" : ""}`;
}

/** Without the right to list a bucket, an object that is not there is answered with a refusal instead. */
function reading(whose: "Own" | "Peer", buckets: readonly string[], keyArn: string): Statement[] {
  return [
    { Sid: `List${whose}`, Effect: "Allow", Action: "s3:ListBucket", Resource: buckets.map(bucketArn) },
    {
      Sid: `Read${whose}`,
      Effect: "Allow",
      Action: "s3:GetObject",
      Resource: buckets.map((bucket) => `${bucketArn(bucket)}/*`),
    },
    { Sid: `Open${whose}`, Effect: "Allow", Action: "kms:Decrypt", ...throughS3(keyArn) },
  ];
}

const createOnly = { Null: { "s3:if-none-match": "false" } };

function creating(whose: "Own" | "Peer", resources: readonly string[], keyArn: string): Statement[] {
  return [
    {
      Sid: `Create${whose}`,
      Effect: "Allow",
      Action: "s3:PutObject",
      Resource: resources,
      Condition: createOnly,
    },
    { Sid: `Seal${whose}`, Effect: "Allow", Action: "kms:GenerateDataKey", ...throughS3(keyArn) },
  ];
}

function holdingLeases(witness: string): Statement[] {
  const objects = objectsUnder(witness, controlLayout.leases);
  return [
    { Sid: "ListLeases", Effect: "Allow", Action: "s3:ListBucket", Resource: bucketArn(witness) },
    { Sid: "ReadLeases", Effect: "Allow", Action: "s3:GetObject", Resource: objects },
    { Sid: "CreateLeases", Effect: "Allow", Action: "s3:PutObject", Resource: objects, Condition: createOnly },
  ];
}

function leavingKeys(controls: readonly string[]): Statement {
  const resources = controls.map((bucket) => objectsUnder(bucket, controlLayout.keys));
  return { Sid: "LeaveKeys", Effect: "Deny", Action: "s3:GetObject", Resource: resources };
}

function throughS3(keyArn: string): Pick<Statement, "Resource" | "Condition"> {
  const region = keyArn.split(":")[3];
  return { Resource: keyArn, Condition: { StringEquals: { "kms:ViaService": `s3.${region}.amazonaws.com` } } };
}
