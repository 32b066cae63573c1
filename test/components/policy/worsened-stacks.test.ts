/** Proves that no resource of either kind of stack can be made worse, in any of the ways below, without a rule that tells it. */
import { expect } from "chai";
import type { DeclaredResource, Props } from "../../../policy/rule.ts";
import { containersOf, podsOf } from "../../../policy/workloads.ts";
import { told } from "../../support/stacks/policy-changes.ts";
import { policyStacks } from "../../support/stacks/policy-stacks.ts";

// biome-ignore lint/suspicious/noExplicitAny: inputs of any resource, changed in place
type Loose = any;

/** Changes a copy of a resource; answers whether there was anything to change, or what stands in its place. */
type Worsening = (resource: DeclaredResource & { readonly props: Loose }) => boolean | DeclaredResource[];

function inPods(change: (pod: Loose) => unknown): Worsening {
  return (resource) => {
    const pods = podsOf(resource);
    for (const pod of pods) change(pod);
    return pods.length > 0;
  };
}

function inContainers(change: (container: Loose) => unknown): Worsening {
  return inPods((pod) => {
    for (const container of containersOf(pod)) change(container);
  });
}

/** Allows one thing more in each document that a resource has. */
function allowing(statement: Props, ...properties: readonly string[]): Worsening {
  return ({ props }) => {
    const documents = properties.filter((property) => typeof props[property] === "string");
    for (const property of documents) {
      const document = JSON.parse(props[property]);
      props[property] = JSON.stringify({ ...document, Statement: [...document.Statement, statement] });
    }
    return documents.length > 0;
  };
}

/** Something else in the place of each resource of some types. */
function instead(types: RegExp, change: (resource: DeclaredResource) => DeclaredResource[]): Worsening {
  return (resource) => types.test(resource.type) && change(resource);
}

/** Other inputs of each resource of some types. */
function inputsOf(types: RegExp, change: (props: Loose) => unknown): Worsening {
  return ({ props, type }) => {
    if (!types.test(type)) return false;
    change(props);
    return true;
  };
}

const asAnother =
  (type: string) =>
  (resource: DeclaredResource): DeclaredResource[] => [{ ...resource, type }];
const beside =
  (type: string, props: Props = {}) =>
  (resource: DeclaredResource): DeclaredResource[] => [
    resource,
    { ...resource, name: "beside", urn: "beside", type, props },
  ];

const allow = { Effect: "Allow", Resource: "*" };
const inBuckets = /^aws:s3\/bucket(Policy|PublicAccessBlock|OwnershipControls|ServerSide\w+|Versioning|ObjectLock\w+):/;

const worsenings: Readonly<Record<string, Worsening>> = {
  "a document allows all but one action": allowing({ ...allow, NotAction: "a:b" }, "policy", "assumeRolePolicy"),
  "a document allows everybody everything": allowing(
    { ...allow, Principal: "*", Action: "*" },
    "policy",
    "assumeRolePolicy",
  ),
  "a document lets in all but one": allowing(
    { Effect: "Allow", Action: "kms:*", NotPrincipal: { AWS: "arn:aws:iam::111122223333:root" } },
    "policy",
    "assumeRolePolicy",
  ),
  "a policy is attached to a role": instead(/:Role$/, beside("aws:iam/policyAttachment:PolicyAttachment")),
  "a role has a policy of its own kind": instead(
    /iam.*:Role$/,
    beside("aws:iam/rolePoliciesExclusive:RolePoliciesExclusive"),
  ),
  "a user gets rights": instead(/iam.*:Role$/, beside("aws:iam/userPolicy:UserPolicy")),
  "a guard of a bucket goes": instead(inBuckets, () => []),
  "a guard of a bucket is there twice": instead(inBuckets, (resource) =>
    beside(resource.type, resource.props)(resource),
  ),
  "a bucket says not what it holds": inputsOf(/:Bucket$/, (props) => Object.assign(props, { tags: {} })),
  "a bucket is of a newer type": instead(/:Bucket$/, asAnother("aws:s3/bucketV2:BucketV2")),
  "a bucket is told to somebody": instead(/:Bucket$/, beside("aws:s3/bucketNotification:BucketNotification")),
  "what holds data is not protected": instead(/^aws:(s3\/bucket:|kms\/(key|replicaKey):)/, (resource) => [
    { ...resource, isProtected: false },
  ]),
  "a key has AWS's policy": inputsOf(/^aws:kms\/(key|replicaKey):/, (props) => Reflect.deleteProperty(props, "policy")),
  "a replication is of everything": inputsOf(/:BucketReplicationConfig$/, (props) => {
    for (const rule of props.rules) rule.deleteMarkerReplication.status = "Enabled";
  }),
  "a pod sees the node": inPods((pod) => Object.assign(pod, { hostPID: true })),
  "a pod mounts the node": inPods((pod) =>
    Object.assign(pod, { volumes: [{ name: "node", hostPath: { path: "/" } }] }),
  ),
  "a pod gets a container to look into it": inPods((pod) =>
    Object.assign(pod, { ephemeralContainers: [{ name: "look", image: "busybox" }] }),
  ),
  "a container is privileged": inContainers((container) =>
    Object.assign(container.securityContext, { privileged: true }),
  ),
  "a container sees all of /proc": inContainers((container) =>
    Object.assign(container.securityContext, { procMount: "Unmasked" }),
  ),
  "a container takes a port of the node": inContainers((container) =>
    Object.assign(container, { ports: [{ containerPort: 1, hostPort: 1 }] }),
  ),
  "a container's image is a tag": inContainers((container) =>
    Object.assign(container, { image: "registry.example/a:latest" }),
  ),
  "a container has a secret in its arguments": inContainers((container) =>
    Object.assign(container, { args: ["--password=hunter2"] }),
  ),
  "a container has a secret in a variable": inContainers((container) =>
    Object.assign(container, { env: [{ name: "AWS_CREDENTIALS", value: "a" }] }),
  ),
  "a pod is made by a kind that no rule names": instead(/:(StatefulSet|Deployment)$/, (resource) => {
    for (const pod of podsOf(resource)) Object.assign(pod, { hostNetwork: true });
    return asAnother("kubernetes:example.org/v1:Fleet")(resource);
  }),
  "an account writes": inputsOf(/rbac.*Role$/, (props) => Object.assign(props.rules[0], { verbs: ["*"] })),
  "an account is an administrator": inputsOf(/rbac.*Binding$/, (props) =>
    Object.assign(props.roleRef, { name: "cluster-admin" }),
  ),
  "a Service is open on every node": inputsOf(/:Service$/, (props) => Object.assign(props.spec, { type: "NodePort" })),
  "a load balancer is for anybody": inputsOf(/:Service$/, (props) => {
    props.spec.type = "LoadBalancer";
    props.spec.loadBalancerSourceRanges = undefined;
  }),
  "a namespace takes any pod": inputsOf(/:Namespace$/, (props) => Object.assign(props.metadata, { labels: {} })),
};

describe("policy: worsened stacks", () => {
  for (const [what, worsening] of Object.entries(worsenings)) {
    it(what, async () => {
      const { foundation, region } = await policyStacks();
      const silent: string[] = [];
      let count = 0;
      for (const stack of [foundation, region]) {
        for (const resource of stack.filter(({ type }) => /^(aws|kubernetes):/.test(type))) {
          const copy = structuredClone(resource);
          const changed = worsening(copy);
          if (changed === false) continue;
          count += 1;
          const inPlace = changed === true ? [copy] : changed;
          if (told(stack.flatMap((other) => (other === resource ? inPlace : [other]))).length === 0) {
            silent.push(resource.name);
          }
        }
      }
      expect(silent).to.deep.equal([]);
      expect(count).to.be.above(0);
    });
  }
});
