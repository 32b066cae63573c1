/** What AWS would add to a resource's inputs, under Pulumi's mocks: names and ARNs as AWS forms them. */
import type { runtime } from "@pulumi/pulumi";

const account = "111122223333";
/** AWS regions by the names of the providers. */
const regions: Readonly<Record<string, string>> = { "aws-prod": "eu-central-1", "aws-dr": "eu-west-1" };

export function awsOutputs({ inputs, name, provider, type }: runtime.MockResourceArgs): Record<string, unknown> {
  switch (type) {
    case "aws:kms/key:Key":
      return keyOf(`mrk-${name.replace(/-key$/, "")}`, provider);
    case "aws:kms/replicaKey:ReplicaKey":
      return keyOf(String(inputs["primaryKeyArn"]).split("/")[1] as string, provider);
    case "aws:s3/bucket:Bucket":
      return { arn: `arn:aws:s3:::${inputs["bucket"]}` };
    case "aws:iam/role:Role":
      return { arn: `arn:aws:iam::${account}:role/${inputs["name"]}` };
    case "aws:ecr/repository:Repository":
      return { repositoryUrl: `${account}.dkr.ecr.${regionOf(provider)}.amazonaws.com/${inputs["name"]}` };
    default:
      return {};
  }
}

function keyOf(keyId: string, provider: string | undefined): Record<string, unknown> {
  return { keyId, arn: `arn:aws:kms:${regionOf(provider)}:${account}:key/${keyId}` };
}

function regionOf(provider: string | undefined): string {
  return regions[provider?.split("::")[3] ?? ""] ?? "eu-central-1";
}
