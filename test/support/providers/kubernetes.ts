/**
 * Stands for the provider `kubernetes`: server-side apply to a real API server. Nothing is awaited, and names are not made
 * up. What the server finds wrong is an error; the real provider lets fields that nobody knows pass with a warning.
 */
import { once } from "node:events";
import { type RequestOptions, request as requestHttps } from "node:https";
import { text } from "node:stream/consumers";
import { KubeConfig } from "@kubernetes/client-node";
import { isRecord, type Properties, serveStandIn } from "./stand-in.ts";

const fieldManager = "pulumi-kubernetes";

/** As pulumi-kubernetes' provider/pkg/provider/diff.go has it, for the kinds that are declared here. */
const replacing: Readonly<Record<string, readonly string[]>> = {
  Deployment: ["spec.selector"],
  Job: ["spec.completions", "spec.parallelism", "spec.selector", "spec.template"],
  PersistentVolumeClaim: ["spec"],
  RoleBinding: ["roleRef"],
  ClusterRoleBinding: ["roleRef"],
  Service: ["spec.clusterIP"],
  StatefulSet: [
    "spec.podManagementPolicy",
    "spec.revisionHistoryLimit",
    "spec.selector",
    "spec.serviceName",
    "spec.volumeClaimTemplates",
  ],
};

let config = new KubeConfig();
let settings: Readonly<Record<string, string>> = {};
const paths = new Map<string, { readonly list: string; readonly isNamespaced: boolean }>();

interface Resource {
  readonly kind: string;
  readonly name: string;
  readonly namespaced: boolean;
}

await serveStandIn({
  async configure(given) {
    settings = given;
    config = new KubeConfig();
    const { context, kubeconfig } = given;
    if (kubeconfig === undefined) config.loadFromDefault();
    else if (kubeconfig.includes("\n") || kubeconfig.startsWith("{")) config.loadFromString(kubeconfig);
    else config.loadFromFile(kubeconfig);
    if (context !== undefined) config.setCurrentContext(context);
    if (config.getCurrentCluster() === null) throw new Error(`the kubeconfig has no context ${context ?? ""}`);
  },
  async check(_type, news) {
    const { kind, metadata } = news;
    const isNamed = isRecord(metadata) && typeof metadata["name"] === "string";
    if (!isNamed) throw new Error(`${kind} without metadata.name: a name that Pulumi makes up has no stand-in`);
    return news;
  },
  replacing(_type, { kind }) {
    const mutable = (name: string) => (settings[name] === "true" ? [] : ["data", "stringData", "binaryData", "type"]);
    return [
      ...["metadata.name", "metadata.namespace", "apiVersion", "kind"],
      ...(kind === "Secret" ? mutable("enableSecretMutable") : []),
      ...(kind === "ConfigMap" ? mutable("enableConfigMapMutable") : []),
      ...(replacing[String(kind)] ?? []),
    ];
  },
  async create(_type, inputs, isRehearsal) {
    const path = await pathOf(inputs).catch((error: Error) => {
      // Its definition may be made by the same update.
      if (isRehearsal) return undefined;
      throw error;
    });
    if (path === undefined) return { id: "", outputs: inputs };
    if (settings["upsertExistingObjects"] !== "true" && (await send("GET", path)).status === 200) {
      throw new Error(`${path} already exists`);
    }
    return { id: idOf(inputs), outputs: await apply(path, inputs, isRehearsal) };
  },
  async read(_type, _id, state) {
    const answer = await send("GET", await pathOf(state));
    return answer.status === 404 ? undefined : outputsOf(answer);
  },
  async update(_type, _id, { news }, isRehearsal) {
    const path = await pathOf(news);
    // As the real provider, whose update of what is gone makes nothing.
    if ((await send("GET", path)).status === 404) throw new Error(`${path} not found: unable to get cluster state`);
    return apply(path, news, isRehearsal);
  },
  async delete(_type, _id, state) {
    const path = await pathOf(state);
    const answer = await send("DELETE", path, { query: { propagationPolicy: "Background" } });
    if (answer.status !== 404) outputsOf(answer);
  },
});

async function apply(path: string, object: Properties, isRehearsal: boolean): Promise<Properties> {
  const query = { fieldManager, fieldValidation: "Strict", ...(isRehearsal ? { dryRun: "All" } : {}) };
  const answer = await send("PATCH", path, { query, object });
  // In a rehearsal the namespace is not there yet.
  if (isRehearsal && answer.status === 404) return object;
  return outputsOf(answer);
}

function outputsOf({ body, path, status }: Awaited<ReturnType<typeof send>>): Properties {
  if (!isRecord(body) || status >= 300)
    throw new Error(`${path}: ${status} ${isRecord(body) ? body["message"] : body}`);
  return body;
}

function idOf({ metadata }: Properties): string {
  const { name, namespace } = metadata as { name: string; namespace?: string };
  return namespace === undefined ? name : `${namespace}/${name}`;
}

async function pathOf(object: Properties): Promise<string> {
  const { list, isNamespaced } = await resourceOf(String(object["apiVersion"]), String(object["kind"]));
  const { name, namespace = settings["namespace"] ?? "default" } = object["metadata"] as Record<string, string>;
  const [group, plural] = [list.slice(0, list.lastIndexOf("/")), list.slice(list.lastIndexOf("/"))];
  return isNamespaced ? `${group}/namespaces/${namespace}${plural}/${name}` : `${list}/${name}`;
}

async function resourceOf(apiVersion: string, kind: string) {
  const key = `${apiVersion} ${kind}`;
  const known = paths.get(key);
  if (known !== undefined) return known;
  const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const answer = await send("GET", root);
  const { resources } = answer.status === 404 ? { resources: [] } : (outputsOf(answer) as { resources: Resource[] });
  const found = resources.find((one) => one.kind === kind && !one.name.includes("/"));
  if (found === undefined) throw new Error(`no matches for kind ${kind} in ${apiVersion}`);
  const resource = { list: `${root}/${found.name}`, isNamespaced: found.namespaced };
  paths.set(key, resource);
  return resource;
}

async function send(
  method: string,
  path: string,
  { object, query = {} }: { readonly object?: Properties; readonly query?: Readonly<Record<string, string>> } = {},
) {
  const type = { "content-type": "application/apply-patch+yaml" };
  const options: RequestOptions = { method, headers: object === undefined ? {} : type };
  await config.applyToHTTPSOptions(options);
  const url = new URL(`${config.getCurrentCluster()?.server}${path}?${new URLSearchParams(query)}`);
  const request = requestHttps(url, options);
  request.end(object === undefined ? undefined : JSON.stringify(object));
  const [response] = await once(request, "response");
  const said = await text(response);
  const body: unknown = said.startsWith("{") ? JSON.parse(said) : said;
  return { status: response.statusCode as number, body, path };
}
