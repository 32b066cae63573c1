/** Kubernetes' access rules that let captures read what recovery points hold, and nothing else. */
import { apiResourceOf } from "../../runtime/domain/infrastructure/api-resources.ts";
import {
  type CapturedKind,
  groupOf,
  qualifiedKind,
  type ResourceScope,
} from "../../runtime/domain/infrastructure/infrastructure.ts";

interface Rule {
  readonly apiGroups: string[];
  readonly resources: string[];
  readonly verbs: string[];
}

/** Rules for the kinds that belong to a namespace, or for those that do not. */
export function readRules(kinds: readonly CapturedKind[], scope: ResourceScope): Rule[] {
  return kinds.flatMap((kind) => {
    const found = apiResourceOf(kind);
    // Settings that do not say it are refused before.
    if (found === undefined) throw new Error(`the API's name of ${qualifiedKind(kind)} is not known`);
    return found.scope === scope
      ? [{ apiGroups: [groupOf(kind)], resources: [found.resource], verbs: ["get", "list"] }]
      : [];
  });
}
