/** Proves that each rule about roles and regions tells what breaks it. */
import { identityRules } from "../../../policy/rules/identity-rules.ts";
import { changePolicy, changeTrust, describeRules, set, withStatement } from "../../support/stacks/policy-changes.ts";
import { account } from "../../support/stacks/policy-stacks.ts";

describe("policy: identity rules", () => {
  describeRules(identityRules, [
    [
      "roles-do-their-job",
      "everything but one action",
      "dr-identities-capture-permissions",
      withStatement({ Effect: "Allow", NotAction: "iam:CreateUser", Resource: "*" }),
    ],
    [
      "roles-do-their-job",
      "every object but one",
      "dr-identities-capture-permissions",
      withStatement({ Effect: "Allow", Action: "s3:GetObject", NotResource: "arn:aws:s3:::a/b" }),
    ],
    [
      "roles-are-taken-by-their-own",
      "another account's users",
      "dr-identities-gate",
      changeTrust((all) => all.map((one) => ({ ...one, Principal: { AWS: "arn:aws:iam::444455556666:root" } }))),
    ],
    [
      "roles-are-taken-by-their-own",
      "all but one account",
      "dr-identities-gate",
      changeTrust((all) => all.map(({ Principal, ...one }) => ({ ...one, NotPrincipal: Principal }))),
    ],
    [
      "roles-are-taken-by-their-own",
      "S3 for every bucket that there is",
      "qdrant-dr-dr-state-replication-role",
      changeTrust((all) =>
        all.map((one) => ({ ...one, Condition: { ArnEquals: { "aws:SourceArn": "arn:aws:s3:::*" } } })),
      ),
    ],
    [
      "roles-do-their-job",
      "all of S3",
      "dr-identities-capture-permissions",
      withStatement({ Effect: "Allow", Action: "s3:*", Resource: "arn:aws:s3:::a/*" }),
    ],
    [
      "roles-do-their-job",
      "any bucket",
      "dr-identities-capture-permissions",
      withStatement({ Effect: "Allow", Action: "s3:GetObject", Resource: "*" }),
    ],
    [
      "roles-do-their-job",
      "every bucket by its name",
      "dr-identities-capture-permissions",
      withStatement({ Effect: "Allow", Action: ["s3:GetObject"], Resource: ["arn:aws:s3:::*"] }),
    ],
    [
      "roles-do-their-job",
      "deletes",
      "dr-identities-copy-permissions",
      withStatement({ Effect: "Allow", Action: "s3:DeleteObject", Resource: "arn:aws:s3:::a/*" }),
    ],
    [
      "roles-do-their-job",
      "writes that replace",
      "dr-identities-copy-permissions",
      changePolicy((all) =>
        all.map(({ Condition, ...one }) => (one.Sid === "CreateOwn" ? one : { ...one, Condition })),
      ),
    ],
    [
      "roles-do-their-job",
      "a key for any use",
      "dr-identities-verify-permissions",
      changePolicy((all) => all.map(({ Condition, ...one }) => (one.Sid === "OpenOwn" ? one : { ...one, Condition }))),
    ],
    [
      "roles-do-their-job",
      "a policy in the role itself",
      "dr-identities-verify",
      set("inlinePolicies", [
        { policy: JSON.stringify({ Statement: { Effect: "Allow", Action: "*", Resource: "*" } }) },
      ]),
    ],
    [
      "roles-do-their-job",
      "a managed policy",
      "dr-identities-verify",
      set("managedPolicyArns", ["arn:aws:iam::aws:policy/AdministratorAccess"]),
    ],
    [
      "roles-are-taken-by-their-own",
      "any pod",
      "dr-identities-gate",
      changeTrust((all) => all.map(({ Condition: _condition, ...one }) => one)),
    ],
    [
      "roles-are-taken-by-their-own",
      "anybody",
      "dr-identities-gate",
      changeTrust((all) => all.map((one) => ({ ...one, Principal: "*" }))),
    ],
    [
      "roles-are-taken-by-their-own",
      "S3 for any bucket",
      "qdrant-dr-dr-state-replication-role",
      changeTrust((all) =>
        all.map((one) => ({ ...one, Condition: { StringEquals: { "aws:SourceAccount": account } } })),
      ),
    ],
    [
      "a-region-stands-alone",
      "a role's association in the other region",
      "dr-identities-copy-association",
      (resource) => [{ ...resource, region: "eu-central-1" }],
    ],
    [
      "a-region-stands-alone",
      "points sealed with the other region's key",
      "dr-identities-copy-permissions",
      changePolicy((all) =>
        all.map((one) =>
          one.Sid === "SealOwn" ? { ...one, Resource: `arn:aws:kms:eu-central-1:${account}:key/mrk-1` } : one,
        ),
      ),
    ],
    [
      "a-region-stands-alone",
      "an image in the other region's registry",
      "qdrant-nodes",
      set(
        "spec.template.spec.containers.0.image",
        `${account}.dkr.ecr.eu-central-1.amazonaws.com/qdrant@sha256:${"0".repeat(64)}`,
      ),
    ],
  ]);
});
