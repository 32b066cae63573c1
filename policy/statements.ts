/** Reads IAM's documents. */

export interface Statement {
  readonly effect: string;
  readonly principals: readonly string[];
  /** `AWS`, `Service`, `Federated`; `*` for everybody. */
  readonly principalKinds: readonly string[];
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  /** Values by operator and key; operators and keys in lower case, which IAM does not tell apart. */
  readonly conditions: Readonly<Record<string, readonly string[]>>;
  /** Parts that say what is not meant, such as `NotAction`: what such a statement lets happen grows with AWS. */
  readonly negations: readonly string[];
}

// biome-ignore lint/suspicious/noExplicitAny: a document of IAM
type Loose = any;

export function statementsOf(document: unknown): Statement[] {
  const { Statement = [] }: Loose = typeof document === "string" ? JSON.parse(document) : (document ?? {});
  return [Statement].flat().map(
    (given: Loose): Statement => ({
      effect: given.Effect,
      principals:
        typeof given.Principal === "string"
          ? [given.Principal]
          : Object.values(given.Principal ?? {})
              .flat()
              .map(String),
      principalKinds: typeof given.Principal === "string" ? ["*"] : Object.keys(given.Principal ?? {}),
      actions: [given.Action ?? []].flat(),
      resources: [given.Resource ?? []].flat(),
      conditions: Object.fromEntries(
        Object.entries(given.Condition ?? {}).flatMap(([operator, keys]) =>
          Object.entries(keys as Loose).map(([key, values]) => [
            `${operator} ${key}`.toLowerCase(),
            [values].flat().map(String),
          ]),
        ),
      ),
      negations: ["NotAction", "NotPrincipal", "NotResource"].filter((part) => given[part] !== undefined),
    }),
  );
}

export function allows({ effect }: Statement): boolean {
  return effect === "Allow";
}

/** Refused to everybody, with these conditions and no other. */
export function refusesAll(
  { actions, conditions, effect, negations, principals, resources }: Statement,
  wanted: { action: string; resources: readonly string[]; conditions: Readonly<Record<string, string>> },
): boolean {
  const given = Object.entries(conditions).map(([condition, values]) => `${condition} ${values.join()}`);
  const asked = Object.entries(wanted.conditions).map(([condition, value]) => `${condition} ${value}`);
  return (
    effect === "Deny" &&
    negations.length === 0 &&
    principals.includes("*") &&
    (actions.includes(wanted.action) || actions.includes("s3:*")) &&
    wanted.resources.every((resource) => resources.includes(resource)) &&
    given.length === asked.length &&
    asked.every((condition) => given.includes(condition))
  );
}
