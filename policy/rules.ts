import type { Rule } from "./rule.ts";
import { bucketRules } from "./rules/bucket-rules.ts";
import { clusterRules } from "./rules/cluster-rules.ts";
import { identityRules } from "./rules/identity-rules.ts";
import { keepingRules } from "./rules/keeping-rules.ts";
import { podRules } from "./rules/pod-rules.ts";

export const rules: readonly Rule[] = [...bucketRules, ...keepingRules, ...identityRules, ...podRules, ...clusterRules];
