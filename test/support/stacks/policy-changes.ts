/** Changes of stacks that a rule of the policy pack has to tell. */
import { expect } from "chai";
import type { DeclaredResource, Props, Rule } from "../../../policy/rule.ts";
import { rules } from "../../../policy/rules.ts";
import { policyStacks } from "./policy-stacks.ts";

// biome-ignore lint/suspicious/noExplicitAny: inputs of any resource, changed by path
type Loose = any;

/** Proves that each change is told by its rule and by no other, and that every rule of the family has one. */
export function describeRules(
  family: readonly Rule[],
  changes: readonly (readonly [rule: string, what: string, name: string, change: Change])[],
): void {
  for (const [rule, what, name, change] of changes) {
    it(`${rule}: ${what}`, async () => {
      const { foundation, region } = await policyStacks();
      const stack = foundation.some((resource) => isNamed(resource, name)) ? foundation : region;
      expect([...new Set(told(changeOne(stack, name, change)))]).to.deep.equal([rule]);
    });
  }

  it("every rule is among these", () => {
    const named = [...new Set(changes.map(([rule]) => rule))].sort();
    expect(named).to.deep.equal(family.map(({ name }) => name).sort());
    for (const { description } of family) expect(description).to.match(/\.$/);
  });
}

/** Names of the rules that are not kept, once for each violation. */
export function told(resources: readonly DeclaredResource[]): string[] {
  return rules.flatMap(({ name, violations }) => violations(resources).map(() => name));
}

export type Change = (resource: DeclaredResource) => DeclaredResource[];

function isNamed(resource: DeclaredResource, name: string): boolean {
  if (resource.type.startsWith("qdrant-dr:")) return false;
  return resource.name === name || resource.name.endsWith(`-${name}`);
}

function changeOne(resources: readonly DeclaredResource[], name: string, change: Change): DeclaredResource[] {
  const [one, ...more] = resources.filter((resource) => isNamed(resource, name));
  if (one === undefined || more.length > 0) throw new Error(`not one ${name}`);
  return resources.flatMap((resource) => (resource === one ? change(structuredClone(resource)) : [resource]));
}

export function set(path: string, value: unknown): Change {
  return (resource) => {
    const steps = path.split(".");
    const last = steps.pop() as string;
    const holder = steps.reduce((value: Loose, step) => value[step], resource.props);
    if (holder === undefined) throw new Error(`${resource.name} has no ${path}`);
    holder[last] = value;
    return [resource];
  };
}

export function remove(): DeclaredResource[] {
  return [];
}

export function unprotect(resource: DeclaredResource): DeclaredResource[] {
  return [{ ...resource, isProtected: false }];
}

export function changePolicy(change: (statements: Loose[]) => Loose[], property = "policy"): Change {
  return (resource) => {
    const document = JSON.parse(resource.props[property]);
    const Statement = change(document.Statement);
    if (JSON.stringify(Statement) === JSON.stringify(document.Statement))
      throw new Error(`${resource.name} stays as it is`);
    return [{ ...resource, props: { ...resource.props, [property]: JSON.stringify({ ...document, Statement }) } }];
  };
}

export function changeTrust(change: (statements: Loose[]) => Loose[]): Change {
  return changePolicy(change, "assumeRolePolicy");
}

export function withStatement(statement: Props): Change {
  return changePolicy((statements) => [...statements, statement]);
}

export function withoutStatement(sid: string): Change {
  return changePolicy((statements) => statements.filter(({ Sid }) => Sid !== sid));
}
