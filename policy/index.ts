/** The rules as a policy pack: `pulumi preview --policy-pack policy`, for this project's stacks and for others. */
import { PolicyPack, type PolicyResource, type StackValidationPolicy } from "@pulumi/policy";
import type { DeclaredResource, Rule } from "./rule.ts";
import { rules } from "./rules.ts";

new PolicyPack("qdrant-dr", { policies: rules.map(asPolicy), enforcementLevel: "mandatory" });

function asPolicy({ description, name, violations }: Rule): StackValidationPolicy {
  return {
    name,
    description,
    validateStack: ({ resources }, report) => {
      for (const { message, resource } of violations(resources.map(asDeclared))) {
        report(`${resource.name}: ${message}`, resource.urn);
      }
    },
  };
}

function asDeclared({ name, opts, props, provider, type, urn }: PolicyResource): DeclaredResource {
  return { name, type, urn, props, isProtected: opts.protect, region: provider?.props["region"] };
}
