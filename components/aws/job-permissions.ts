/** What each job may do in S3: read what it needs, create under the prefixes it writes, and never delete. */
import type { AwsSettings } from "../../runtime/domain/estate/aws-settings.ts";
import type { Job } from "../../runtime/domain/estate/jobs.ts";
import { controlLayout, storeLayout } from "../../runtime/domain/points/store-layout.ts";
import { bucketArn, type Statement } from "./policy-document.ts";

interface Needs {
  /** Prefixes of this region's repository that it creates objects under; absent: it cannot read it either. */
  readonly repository?: readonly string[];
  /** Likewise of the control store, which every job reads. */
  readonly control: readonly string[];
  readonly peer: readonly ("repository" | "control")[];
  /** Whose wrapped keys are none of its business. */
  readonly withoutKeysOf?: readonly ("own" | "peer")[];
}

const capturedParts = [storeLayout.repository, storeLayout.packs, storeLayout.trees, storeLayout.points];
const attestations = [`${storeLayout.points}*/attestations/`];

const needsOf: Readonly<Record<Job, Needs>> = {
  capture: {
    repository: [...capturedParts, storeLayout.sessions],
    control: [controlLayout.keys, controlLayout.snapshots, controlLayout.runs],
    peer: [],
  },
  copy: {
    repository: capturedParts,
    control: [controlLayout.keys, controlLayout.runs],
    peer: ["repository", "control"],
  },
  verify: { repository: attestations, control: [controlLayout.runs], peer: [] },
  "test-restore": { repository: attestations, control: [controlLayout.restores, controlLayout.runs], peer: [] },
  replicate: {
    repository: [...capturedParts, storeLayout.sessions],
    control: [controlLayout.keys, controlLayout.snapshots, controlLayout.standby],
    peer: ["control"],
    withoutKeysOf: ["peer"],
  },
  // A guard carries an epoch home that only the other region was told of.
  gate: { control: [controlLayout.epochs], peer: ["control"], withoutKeysOf: ["own", "peer"] },
  // Manifests and trees are sealed: whoever tells which points are complete opens them.
  exporter: { repository: [], control: [], peer: ["control"], withoutKeysOf: ["peer"] },
};

export interface JobStores {
  readonly repository: string;
  readonly control: string;
  readonly keyArn: string;
  readonly peer: AwsSettings["peer"];
  /** The bucket of the gate's leases, encrypted with S3's own key: what it holds is no secret. */
  readonly witness?: string | undefined;
}

export function jobStatements(job: Job, stores: JobStores): Statement[] {
  const { control, peer, repository, withoutKeysOf = [] } = needsOf[job];
  const read = [...(repository === undefined ? [] : [stores.repository]), stores.control];
  const created = [
    ...(repository ?? []).map((prefix) => objectsUnder(stores.repository, prefix)),
    ...control.map((prefix) => objectsUnder(stores.control, prefix)),
  ];
  const controls = { own: stores.control, peer: stores.peer.control };
  const readOfPeer = peer.map((kind) => stores.peer[kind]);
  return [
    ...reading("Own", read, stores.keyArn),
    ...(created.length === 0 ? [] : creating(created, stores)),
    ...(readOfPeer.length === 0 ? [] : reading("Peer", readOfPeer, stores.peer.keyArn)),
    ...(withoutKeysOf.length === 0 ? [] : [leavingKeys(withoutKeysOf.map((whose) => controls[whose]))]),
    ...(job === "gate" && stores.witness !== undefined ? holdingLeases(stores.witness) : []),
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

function creating(resources: readonly string[], { keyArn }: JobStores): Statement[] {
  return [
    {
      Sid: "Create",
      Effect: "Allow",
      Action: "s3:PutObject",
      Resource: resources,
      Condition: createOnly,
    },
    { Sid: "Seal", Effect: "Allow", Action: "kms:GenerateDataKey", ...throughS3(keyArn) },
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
