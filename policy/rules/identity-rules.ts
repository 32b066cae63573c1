/** Roles: each can do its job and nothing else, at home. */
import { type DeclaredResource, eachOf, ofAll, ofType, type Props, type Rule, unless } from "../rule.ts";
import { allows, type Statement, statementsOf } from "../statements.ts";
import { containersOf, podsOf } from "../workloads.ts";

const roleType = "aws:iam/role:Role";
const permissionsType = "aws:iam/rolePolicy:RolePolicy";
const knownTypes = [roleType, permissionsType];

/** The policies of the two jobs that delete, each below prefixes of its own. */
const deleting = ["prune", "prune-stream"];
const deletesVersions = "s3:DeleteObjectVersion";

/** Actions that no role of the product needs: only prunes delete, and guards are changed by people. */
const forbidden = [
  /^s3:(Delete|Bypass|PutBucket|PutLifecycle|PutReplication|PutEncryption|PutObjectLegalHold|PutObjectAcl)/i,
  /^kms:(ScheduleKeyDeletion|DisableKey|PutKeyPolicy|CreateGrant|ReEncrypt)/i,
  /^(iam|sts|organizations):/i,
];

const rolesDoTheirJob: Rule = {
  name: "roles-do-their-job",
  description:
    "No role may do everything, delete (but for prunes, below their prefixes), replace, or use a key but through S3.",
  violations(resources) {
    return [
      ...eachOf([permissionsType], ({ props }) =>
        statementsOf(props["policy"])
          .filter(allows)
          .filter((statement) => !(deleting.includes(String(props["name"])) && deletesBelowPrefixes(statement)))
          .flatMap(tooMuch),
      )(resources),
      ...eachOf([roleType], ({ props }) => [
        ...unless((props["managedPolicyArns"] ?? []).length === 0, "it has policies that are managed elsewhere"),
        ...((props["inlinePolicies"] ?? []) as Props[]).flatMap(({ policy }) =>
          statementsOf(policy).filter(allows).flatMap(tooMuch),
        ),
      ])(resources),
      ...ofAll(({ type }) =>
        unless(
          !type.startsWith("aws:iam/") || knownTypes.includes(type),
          "no rule knows what it gives: rights stand in a role's own policy",
        ),
      )(resources),
    ];
  },
};

function deletesBelowPrefixes({ actions, negations, resources }: Statement): boolean {
  const isOfPrefix = (resource: string) => /^arn:aws:s3:::[^/*]+\/[^/*]+\/\*$/.test(resource);
  const deletes = actions.every((action) => action === deletesVersions);
  return deletes && negations.length === 0 && resources.length > 0 && resources.every(isOfPrefix);
}

function tooMuch({ actions, conditions, negations, resources }: Statement): string[] {
  const negated = negations.map((part) => `${part} allows what it does not name`);
  return [...negated, ...actionsTooMany({ actions, conditions, resources })];
}

function actionsTooMany({
  actions,
  conditions,
  resources,
}: Pick<Statement, "actions" | "conditions" | "resources">): string[] {
  return actions.flatMap((action) => [
    ...unless(!action.includes("*"), `${action} allows more than one thing`),
    ...unless(!forbidden.some((pattern) => pattern.test(action)), `no job needs ${action}`),
    ...unless(
      resources.length > 0 && resources.every((resource) => /^arn:aws:[a-z0-9-]+:[^:*]*:[^:*]*:[^*]/.test(resource)),
      `${action} on ${resources.join(", ") || "anything"}`,
    ),
    ...unless(
      !action.startsWith("kms:") || "stringequals kms:viaservice" in conditions,
      `${action} is not through S3 alone`,
    ),
    ...unless(
      action !== "s3:PutObject" || conditions["null s3:if-none-match"]?.join() === "false",
      "s3:PutObject could replace objects",
    ),
  ]);
}

const rolesAreTakenByTheirOwn: Rule = {
  name: "roles-are-taken-by-their-own",
  description: "A role is taken by one service for one bucket, or by the pods of one ServiceAccount.",
  violations: eachOf([roleType], ({ props }) =>
    statementsOf(props["assumeRolePolicy"])
      .filter(allows)
      .flatMap(({ actions, conditions, negations, principalKinds, principals }) => [
        ...negations.map((part) => `${part} lets in whom it does not name`),
        ...unless(principals.length > 0 && !principals.includes("*"), "anybody can take it"),
        ...unless(
          principalKinds.every((kind) => ["Service", "Federated", "*"].includes(kind)),
          "users and roles can take it, not one service",
        ),
        ...unless(
          actions.every((action) => /^sts:(AssumeRole|AssumeRoleWithWebIdentity|TagSession)$/.test(action)),
          "it is about more than to take it",
        ),
        ...unless(isNarrow(conditions), "who takes it is not narrowed to one bucket or one ServiceAccount"),
      ]),
  ),
};

/** What each condition that narrows has to name, whole. */
const narrowing: readonly (readonly [condition: RegExp, value: RegExp])[] = [
  [/^arnequals aws:sourcearn$/, /^arn:aws:s3:::[a-z0-9][a-z0-9.-]+$/],
  [/^stringequals .+:sub$/, /^system:serviceaccount:[a-z0-9-]+:[a-z0-9.-]+$/],
  [/^stringequals aws:requesttag\/kubernetes-service-account$/, /^[a-z0-9.-]+$/],
];

function isNarrow(conditions: Statement["conditions"]): boolean {
  return Object.entries(conditions).some(([condition, values]) =>
    narrowing.some(
      ([wanted, value]) => wanted.test(condition) && values.length > 0 && values.every((given) => value.test(given)),
    ),
  );
}

const regionType = "qdrant-dr:index:KubernetesRegion";

const aRegionStandsAlone: Rule = {
  name: "a-region-stands-alone",
  description:
    "A region's stack has nothing in the other region, writes with keys (but for what brings folders there) and starts images at home: it works when the other one is lost.",
  violations(resources) {
    if (ofType(resources, regionType).length === 0) return [];
    const inAws = resources.filter(({ region, type }) => type.startsWith("aws:") && region !== undefined);
    const home = inAws[0]?.region;
    return [
      ...inAws
        .filter(({ region }) => region !== home)
        .map((resource) => ({ resource, message: `it is in ${resource.region}, others are in ${home}` })),
      ...eachOf([permissionsType], (resource) => keysAbroad(resource, home))(resources),
      ...ofAll((resource) => imagesAbroad(resource, home))(resources),
    ];
  },
};

/** The policy of the one job whose work it is: without the other region it has none, and nothing waits for it. */
const bringsFolders = "replicate-folders";

function keysAbroad({ props }: DeclaredResource, home: string | undefined): string[] {
  if (props["name"] === bringsFolders) return [];
  return statementsOf(props["policy"])
    .filter(
      ({ actions, effect }) =>
        effect === "Allow" && actions.some((action) => /^kms:(GenerateDataKey|Encrypt)/.test(action)),
    )
    .flatMap(({ resources }) => resources)
    .filter((key) => home !== undefined && key.split(":")[3] !== home)
    .map((key) => `it writes with ${key}, which is lost with the other region`);
}

function imagesAbroad(resource: DeclaredResource, home: string | undefined): string[] {
  return podsOf(resource)
    .flatMap(containersOf)
    .map(({ image }) => String(image))
    .filter((image) => {
      const region = /^\d{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com\//.exec(image)?.[1];
      return home !== undefined && region !== undefined && region !== home;
    })
    .map((image) => `it starts ${image}, which is lost with the other region`);
}

export const identityRules = [rolesDoTheirJob, rolesAreTakenByTheirOwn, aRegionStandsAlone];
