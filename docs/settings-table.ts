/** A table of settings: types, limits and defaults from a Zod schema, and a sentence for each from people. */
import { z } from "zod";

/** The parts of a JSON Schema that a table shows. */
interface Node {
  readonly type?: string | undefined;
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
  readonly items?: Node | undefined;
  readonly additionalProperties?: Node | boolean | undefined;
  readonly anyOf?: readonly Node[] | undefined;
  readonly oneOf?: readonly Node[] | undefined;
}

const nodeSchema: z.ZodType<Node> = z.lazy(() =>
  z.looseObject({
    type: z.string().optional(),
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
    items: nodeSchema.optional(),
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
 * @param descriptions a sentence for each setting. `undefined` leaves the setting and all below it out; a sentence that ends with "…" leaves
 * out what is below.
 * @throws when a setting has no description, or a description no setting.
 */
export function settingsTable(schema: z.ZodType, descriptions: Readonly<Record<string, string | undefined>>): string {
  const rows = new Map<string, Row>();
  // What may be left out is known on the way in; what a value has to be, on the way out.
  const optional = new Set<string>();
  collect(jsonSchema(schema, "input"), "", true, (path, _, isRequired) => {
    if (!isRequired) optional.add(path);
    return true;
  });
  collect(jsonSchema(schema, "output"), "", true, (path, node, isWanted) => {
    const isRequired = isWanted && !optional.has(path);
    if (!(path in descriptions)) throw new Error(`docs/setting-descriptions.ts has no sentence for ${path}`);
    const description = descriptions[path];
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
  for (const [path, description] of Object.entries(descriptions)) {
    if (description !== undefined && !rows.has(path))
      throw new Error(`docs/setting-descriptions.ts describes ${path}, which is no setting`);
  }
  return [
    "| setting | type | default | meaning |",
    "| --- | --- | --- | --- |",
    ...[...rows].map(([path, row]) => {
      const byDefault = row.default === undefined ? (row.isRequired ? "required" : "") : `\`${row.default}\``;
      return `| \`${path}\` | ${[...row.types].join(" or ")} | ${byDefault} | ${descriptions[path]?.replace(/ ?…$/, "")} |`;
    }),
  ].join("\n");
}

function jsonSchema(schema: z.ZodType, io: "input" | "output"): Node {
  return nodeSchema.parse(z.toJSONSchema(schema, { io, unrepresentable: "any" }));
}

type Visit = (path: string, node: Node, isRequired: boolean) => boolean;

function collect(node: Node, path: string, isRequired: boolean, visit: Visit): void {
  const variants = node.anyOf ?? node.oneOf;
  const isBelowWanted = path === "" || visit(path, node, isRequired);
  if (!isBelowWanted) return;
  for (const variant of variants ?? []) collectChildren(variant, path, visit);
  collectChildren(node, path, visit);
}

function collectChildren(node: Node, path: string, visit: Visit): void {
  for (const variant of node.anyOf ?? node.oneOf ?? []) collectChildren(variant, path, visit);
  const below = path === "" ? "" : `${path}.`;
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    collect(child, `${below}${name}`, node.required?.includes(name) ?? false, visit);
  }
  if (node.items?.properties !== undefined) collectChildren(node.items, `${path}[]`, visit);
  const { additionalProperties } = node;
  if (typeof additionalProperties === "object" && additionalProperties.properties !== undefined) {
    collectChildren(additionalProperties, `${below}*`, visit);
  }
}

function typeOf(node: Node): string {
  const variants = node.anyOf ?? node.oneOf;
  if (variants !== undefined) return [...new Set(variants.map(typeOf))].join(" or ");
  if (node.const !== undefined) return `\`${String(node.const)}\``;
  if (node.enum !== undefined) return node.enum.map((value) => `\`${String(value)}\``).join(" or ");
  if (node.type === "array") return `list of ${node.items === undefined ? "anything" : typeOf(node.items)}`;
  if (node.type === "object") return node.properties === undefined ? "names and values" : "group";
  if (node.type === "integer" || node.type === "number") return `${node.type}${limitsOf(node)}`;
  if (node.format === "uri") return "URL";
  return node.type === "string" ? "text" : (node.type ?? "anything");
}

function limitsOf({ exclusiveMinimum, maximum, minimum }: Node): string {
  const parts = [
    ...(minimum === undefined ? [] : [`from ${minimum}`]),
    ...(exclusiveMinimum === undefined ? [] : [`above ${exclusiveMinimum}`]),
    ...(maximum === undefined || maximum === Number.MAX_SAFE_INTEGER ? [] : [`to ${maximum}`]),
  ];
  return parts.length === 0 ? "" : `, ${parts.join(" ")}`;
}
