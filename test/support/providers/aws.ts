/** Stands for the provider `aws`: the calls of the SDK that a resource comes to, sent where AWS_ENDPOINT_URL says. */
import { type AwsClients, awsClients, awsKinds } from "./aws-kinds.ts";
import { type Properties, serveStandIn } from "./stand-in.ts";

let defaultRegion: string | undefined;
const clients = new Map<string, AwsClients>();

await serveStandIn({
  async configure({ region }) {
    if (process.env["AWS_ENDPOINT_URL"] === undefined) throw new Error("AWS_ENDPOINT_URL names no emulator");
    defaultRegion = region;
  },
  async check(type, news) {
    kindOf(type);
    return { ...news, region: regionOf(news) };
  },
  replacing: (type) => ["region", ...kindOf(type).replacing],
  async create(type, inputs, isRehearsal) {
    if (isRehearsal) return { id: "", outputs: inputs };
    const { id, facts } = await kindOf(type).create(clientsFor(inputs), inputs);
    return { id, outputs: { ...inputs, ...facts, id } };
  },
  async read(type, id, state) {
    const { exists } = kindOf(type);
    return exists === undefined || (await exists(clientsFor(state), id)) ? state : undefined;
  },
  async update(type, id, { news, olds, state }, isRehearsal) {
    if (!isRehearsal) await kindOf(type).update(clientsFor(news), { id, news, olds });
    return { ...state, ...news };
  },
  delete: (type, id, state) => kindOf(type).delete(clientsFor(state), id, state),
});

function kindOf(type: string) {
  const kind = awsKinds[type];
  if (kind === undefined) throw new Error(`there is no stand-in for ${type}`);
  return kind;
}

function clientsFor(properties: Properties): AwsClients {
  const region = regionOf(properties);
  const known = clients.get(region) ?? awsClients(region);
  clients.set(region, known);
  return known;
}

function regionOf({ region = defaultRegion }: Properties): string {
  if (typeof region !== "string") throw new Error("neither the resource nor the provider names a region");
  return region;
}
