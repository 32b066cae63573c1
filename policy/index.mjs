/**
 * The rules as a policy pack: `pulumi preview --policy-pack policy`, for this project's stacks and for others. Pulumi compiles what
 * a pack begins with when it is TypeScript, by settings of its own; what it imports, Node runs as it is.
 */
import { PolicyPack } from "@pulumi/policy";
import { rules } from "./rules.ts";

new PolicyPack("qdrant-dr", { policies: rules.map(asPolicy), enforcementLevel: "mandatory" });

/**
 * @param {import("./rule.ts").Rule} rule
 * @returns {import("@pulumi/policy").StackValidationPolicy}
 */
function asPolicy({ description, name, violations }) {
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

/**
 * @param {import("@pulumi/policy").PolicyResource} resource
 * @returns {import("./rule.ts").DeclaredResource}
 */
function asDeclared({ name, opts, props, provider, type, urn }) {
  return { name, type, urn, props, isProtected: opts.protect, region: provider?.props["region"] };
}
