/** The Pulumi provider `embedded`: what a region needs on one machine, as real resources with a life of their own. */
import { main, type Provider } from "@pulumi/pulumi/provider/index.js";
import { DrError } from "../../runtime/errors.ts";
import { bucketKind } from "./bucket-kind.ts";
import { processKind } from "./process-kind.ts";
import type { ResourceKind } from "./resource-kind.ts";
import { routeKind } from "./route-kind.ts";
import { plainInputs } from "./secrets.ts";

const kinds: Readonly<Record<string, ResourceKind>> = {
  "embedded:index:Process": processKind,
  "embedded:index:Bucket": bucketKind,
  "embedded:index:Route": routeKind,
};

const provider: Provider = {
  version: "0.1.0",
  async check(urn, _olds, news) {
    const failures = kindOf(urn).check(plainInputs(news));
    return failures.length > 0 ? { inputs: news, failures } : { inputs: news };
  },
  async diff(_id, urn, olds, news) {
    return kindOf(urn).diff(plainInputs(olds), plainInputs(news));
  },
  async create(urn, inputs) {
    const { id, facts } = await explained(() => kindOf(urn).apply(plainInputs(inputs)));
    return { id, outs: { ...inputs, ...facts } };
  },
  async read(id, urn, props) {
    const facts = await explained(() => kindOf(urn).read(plainInputs(props)));
    return facts === undefined ? {} : { id, props: { ...props, ...facts } };
  },
  async update(_id, urn, _olds, news) {
    const { facts } = await explained(() => kindOf(urn).apply(plainInputs(news)));
    return { outs: { ...news, ...facts } };
  },
  async delete(_id, urn, props) {
    await explained(() => kindOf(urn).remove(plainInputs(props)));
  },
};

/** A URN reads `urn:pulumi:stack::project::parent$type::name`. */
function kindOf(urn: string): ResourceKind {
  const type = urn.split("::")[2]?.split("$").at(-1) ?? "";
  const kind = kinds[type];
  if (kind === undefined) throw new Error(`the provider has no resource of type ${type}`);
  return kind;
}

/** The engine shows messages only: the hint goes with it, the stack of our own code does not help. */
async function explained<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof DrError)) throw error;
    throw new Error(`${error.code}: ${error.message}${error.hint === undefined ? "" : ` (${error.hint})`}`);
  }
}

await main(provider, process.argv.slice(2));
