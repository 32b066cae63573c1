/** Tables of what a Zod schema allows: of settings, with a sentence for each from people, and of commands' answers. */
import { z } from "zod";

/** The parts of a JSON Schema that a table shows. */
interface Node {
  readonly type?: string | readonly string[] | undefined;
  /** What a group is called that is shown as one value. */
  readonly title?: string | undefined;
  readonly description?: string | undefined;
  readonly format?: string | undefined;
  readonly const?: unknown;
  readonly enum?: readonly unknown[] | undefined;
  readonly default?: unknown;
  readonly minimum?: number | undefined;
  readonly exclusiveMinimum?: number | undefined;
  readonly maximum?: number | undefined;
  readonly minItems?: number | undefined;
  readonly properties?: Readonly<Record<string, Node>> | undefined;
  readonly required?: readonly string[] | undefined;
  /** `false`: no more than `prefixItems`. */
  readonly items?: Node | boolean | undefined;
  readonly prefixItems?: readonly Node[] | undefined;
  readonly additionalProperties?: Node | boolean | undefined;
  readonly anyOf?: readonly Node[] | undefined;
  readonly oneOf?: readonly Node[] | undefined;
}

const nodeSchema: z.ZodType<Node> = z.lazy(() =>
  z.looseObject({
    type: z.union([z.string(), z.array(z.string())]).optional(),
    title: z.string().optional(),
    description: z.string().optional(),
    format: z.string().optional(),
    const: z.unknown().optional(),
    enum: z.array(z.unknown()).optional(),
    default: z.unknown().optional(),
    minimum: z.number().optional(),
    exclusiveMinimum: z.number().optional(),
    maximum: z.number().optional(),
    minItems: z.number().optional(),
    properties: z.record(z.string(), nodeSchema).optional(),
    required: z.array(z.string()).optional(),
    items: z.union([z.boolean(), nodeSchema]).optional(),
    prefixItems: z.array(nodeSchema).optional(),
    additionalProperties: z.union([z.boolean(), nodeSchema]).optional(),
    anyOf: z.array(nodeSchema).optional(),
    oneOf: z.array(nodeSchema).optional(),
  }),
);

interface Row {
  readonly types: Set<string>;
  readonly isRequired: boolean;
  readonly default: string | undefined;
}

/**
 * @param descriptions a sentence for each setting; where they are left out, each has one in the schema. `undefined` leaves the setting and all below it out; a sentence that ends with "…" leaves
 * out what is below.
 * @throws when a setting has no description, or a description no setting.
 */
export function settingsTable(schema: z.ZodType, descriptions?: Readonly<Record<string, string | undefined>>): string {
  const sentences = new Map(Object.entries(descriptions ?? {}));
  const rows = new Map<string, Row>();
  // What may be left out is known on the way in; what a value has to be, on the way out.
  const optional = new Set<string>();
  collect(jsonSchema(schema, "input"), "", true, (path, _, isRequired) => {
    if (!isRequired) optional.add(path);
    return true;
  });
  collect(jsonSchema(schema, "output"), "", true, (path, node, isWanted) => {
    const isRequired = isWanted && !optional.has(path);
    if (descriptions === undefined) sentences.set(path, sentences.get(path) ?? node.description);
    else if (!sentences.has(path)) throw new Error(`setting-descriptions.ts has no sentence for ${path}`);
    const description = sentences.get(path);
    if (description === undefined && descriptions === undefined) throw new Error(`nothing describes ${path}`);
    if (description === undefined) return false;
    const known = rows.get(path);
    rows.set(path, {
      types: new Set([...(known?.types ?? []), typeOf(node)]),
      // A setting that one platform needs and another does not know is no setting that everybody needs.
      isRequired: (known?.isRequired ?? true) && isRequired,
      default: known?.default ?? (node.default === undefined ? undefined : JSON.stringify(node.default)),
    });
    return !description.endsWith("…");
  });
  for (const [path, description] of sentences) {
    if (description !== undefined && !rows.has(path))
      throw new Error(`docs/setting-descriptions.ts describes ${path}, which is no setting`);
  }
  return [
    "| setting | type | default | meaning |",
    "| --- | --- | --- | --- |",
    ...[...rows].map(([path, row]) => {
      const byDefault = row.default === undefined ? (row.isRequired ? "required" : "") : `\`${row.default}\``;
      return `| \`${path}\` | ${[...row.types].join(" or ")} | ${byDefault} | ${inCell(sentences.get(path) ?? "").replace(/ ?…$/, "")} |`;
    }),
  ].join("\n");
}

/** The fields of a command's JSON answer, with what the schema says of each. */
export function answerTable(schema: z.ZodType): string {
  const rows = new Map<string, { types: Set<string>; isAlways: boolean; description: string }>();
  const root = jsonSchema(schema, "output");
  collect(root, "", true, (path, node, isRequired, isInAll) => {
    const known = rows.get(path);
    const isAlways = isRequired && isInAll;
    rows.set(path, {
      types: new Set([...(known?.types ?? []), typeOf(node)]),
      isAlways: (known?.isAlways ?? true) && isAlways,
      description: known?.description || (node.description ?? ""),
    });
    return true;
  });
  return [
    ...(root.description === undefined ? [] : [`${root.description}.`, ""]),
    "| field | type | present | meaning |",
    "| --- | --- | --- | --- |",
    ...[...rows].map(
      ([path, { description, isAlways, types }]) =>
        `| \`${path}\` | ${[...types].join(" or ")} | ${isAlways ? "always" : "not always"} | ${inCell(description)} |`,
    ),
  ].join("\n");
}

/** Text that ends no cell of a table. */
export function inCell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll(/\s+/g, " ");
}

function jsonSchema(schema: z.ZodType, io: "input" | "output"): Node {
  return nodeSchema.parse(z.toJSONSchema(schema, { io, unrepresentable: "any" }));
}

/** @param isInAll whether each of the variants, where there are several, requires it. */
type Visit = (path: string, node: Node, isRequired: boolean, isInAll: boolean) => boolean;

function collect(node: Node, path: string, isRequired: boolean, visit: Visit, isInAll = true): void {
  if (path === "" || visit(path, node, isRequired, isInAll)) collectChildren(node, path, visit, requiredIn(node));
}

function collectChildren(node: Node, path: string, visit: Visit, inAll: ReadonlySet<string>): void {
  if (node.title !== undefined) return;
  for (const variant of variantsOf(node)) collectChildren(variant, path, visit, inAll);
  const below = path === "" ? "" : `${path}.`;
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    collect(child, `${below}${name}`, node.required?.includes(name) ?? false, visit, inAll.has(name));
  }
  for (const item of itemsOf(node)) collectChildren(item, `${path}[]`, visit, requiredIn(item));
  const { additionalProperties } = node;
  if (typeof additionalProperties === "object") {
    collectChildren(additionalProperties, `${below}*`, visit, requiredIn(additionalProperties));
  }
}

function variantsOf({ anyOf, oneOf }: Node): readonly Node[] {
  return anyOf ?? oneOf ?? [];
}

/** Names that a value has whichever of the variants it is. */
function requiredIn(node: Node): ReadonlySet<string> {
  const [first, ...others] = variantsOf(node).map(requiredIn);
  const inEach = [...(first ?? [])].filter((name) => others.every((other) => other.has(name)));
  return new Set([...(node.required ?? []), ...inEach]);
}

function itemsOf({ items, prefixItems = [] }: Node): readonly Node[] {
  return typeof items === "object" ? [...prefixItems, items] : prefixItems;
}

function typeOf(node: Node): string {
  if (node.title !== undefined) return node.title;
  if (typeof node.type === "object") return node.type.map((type) => typeOf({ type })).join(" or ");
  const variants = variantsOf(node);
  if (variants.length > 0) return [...new Set(variants.map(typeOf))].join(" or ");
  if (node.const !== undefined) return `\`${String(node.const)}\``;
  if (node.enum !== undefined) return node.enum.map((value) => `\`${String(value)}\``).join(" or ");
  if (node.type === "array") return `list of ${[...new Set(itemsOf(node).map(typeOf))].join(" or ")}`;
  if (node.type === "object") return node.properties === undefined ? "names and values" : "group";
  if (node.type === "integer" || node.type === "number") return `${node.type}${limitsOf(node)}`;
  if (node.format === "uri") return "URL";
  if (node.format === "date-time") return "time";
  return node.type === "string" ? "text" : (node.type ?? "anything");
}

function limitsOf({ exclusiveMinimum, maximum, minimum }: Node): string {
  const parts = [
    ...(minimum === undefined || minimum === Number.MIN_SAFE_INTEGER ? [] : [`from ${minimum}`]),
    ...(exclusiveMinimum === undefined ? [] : [`above ${exclusiveMinimum}`]),
    ...(maximum === undefined || maximum === Number.MAX_SAFE_INTEGER ? [] : [`to ${maximum}`]),
  ];
  return parts.length === 0 ? "" : `, ${parts.join(" ")}`;
}
