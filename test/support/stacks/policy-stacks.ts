/** The resources of both kinds of stack, as the policy pack's rules look at them. */
import * as aws from "@pulumi/aws";
import type { DeclaredResource } from "../../../policy/rule.ts";
import { jobs } from "../../../runtime/domain/job-names.ts";
import { awsSettingsSchema, parseBootstrapSettings } from "../../../runtime/domain/settings/aws-settings.ts";
import { capturedObjects, RegionDeclarer } from "../estates/kubernetes-region.ts";
import { awsOutputs } from "./aws-outputs.ts";
import { RecordedResources, type Registration } from "./recorded-resources.ts";

export const account = "111122223333";

export interface PolicyStacks {
  readonly foundation: readonly DeclaredResource[];
  readonly region: readonly DeclaredResource[];
}

let declared: Promise<PolicyStacks> | undefined;

/** Of the foundation, and of a region. */
export function policyStacks(): Promise<PolicyStacks> {
  declared ??= declare();
  return declared;
}

async function declare(): Promise<PolicyStacks> {
  const foundation = await declareFoundation();
  return { foundation, region: [...(await declareIdentities()), ...(await declareRegion())] };
}

async function declareFoundation(): Promise<DeclaredResource[]> {
  const recorded = new RecordedResources("estate", { project: "qdrant-dr-bootstrap", outputsOf: awsOutputs });
  const { AwsFoundation } = await import("../../../components/aws/aws-foundation.ts");
  const settings = parseBootstrapSettings("estate", {
    account,
    prefix: "example-qdr",
    regions: {
      prod: { region: "eu-central-1", longestLockDays: 365 },
      dr: { region: "eu-west-1", longestLockDays: 365 },
    },
    initialActive: "prod",
    replication: true,
    images: true,
  });
  const providers = Object.fromEntries(
    Object.entries(settings.regions).map(([name, { region }]) => [name, providerIn(`aws-${name}`, region)]),
  );
  new AwsFoundation("qdrant-dr", { settings, providers });
  return asDeclared(await recorded.since(0));
}

async function declareIdentities(): Promise<DeclaredResource[]> {
  const recorded = new RecordedResources("dr", { outputsOf: awsOutputs });
  const { AwsIdentities } = await import("../../../components/aws/aws-identities.ts");
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
  const args = { region: "dr", namespace: "qdrant", jobs, settings, stores };
  new AwsIdentities("dr-identities", args, { providers: [providerIn("aws", "eu-west-1")] });
  return asDeclared(await recorded.since(0));
}

async function declareRegion(): Promise<DeclaredResource[]> {
  const { resources } = await new RegionDeclarer().declare({
    role: "standby",
    settings: { infrastructure: capturedObjects },
    kubernetes: {
      monitoring: { operator: { namespace: "monitoring" } },
      clientCidrs: ["10.8.0.0/16"],
      gate: { service: { type: "LoadBalancer" }, tlsSecret: "gate-tls" },
    },
  });
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
    name,
    type,
    urn,
    props: inputs,
    isProtected: protect,
    region: regions.get(provider.split("::").slice(0, 4).join("::")),
  }));
}
