/**
 * What a call to Qdrant takes the right for, by its method and path, so that a client of the gate is no administrator. What is not
 * listed here takes the administrator's: a newer Qdrant's calls are closed to clients until somebody has looked at them.
 */

/** Each holds the ones before it. `none`: Qdrant answers it without a key. */
export const rights = ["none", "read", "write", "administer"] as const;
export type Right = (typeof rights)[number];

export function includesRight(held: Right, wanted: Right): boolean {
  return rights.indexOf(held) >= rights.indexOf(wanted);
}

const openPages = ["healthz", "livez", "readyz"];
const webInterface = "dashboard";

/** `*` stands for a name: of a collection, an index or a vector, or a point's id. */
const restReads = asSet([
  "GET collections",
  "GET aliases",
  "GET collections/*",
  "GET collections/*/exists",
  "GET collections/*/aliases",
  "GET collections/*/optimizations",
  "GET collections/*/points/*",
  "POST collections/*/points",
  "POST collections/*/facet",
  ...["scroll", "count", "search", "recommend", "discover", "query"].map((what) => `POST collections/*/points/${what}`),
  ...["search", "recommend", "discover", "query"].map((what) => `POST collections/*/points/${what}/batch`),
  ...["search", "recommend", "query"].map((what) => `POST collections/*/points/${what}/groups`),
  "POST collections/*/points/search/matrix/pairs",
  "POST collections/*/points/search/matrix/offsets",
]);
const restWrites = asSet([
  "POST collections/aliases",
  "PUT collections/*",
  "PATCH collections/*",
  "DELETE collections/*",
  "PUT collections/*/index",
  "DELETE collections/*/index/*",
  "PUT collections/*/vectors/*",
  "DELETE collections/*/vectors/*",
  "PUT collections/*/points",
  "POST collections/*/points/delete",
  "POST collections/*/points/batch",
  "PUT collections/*/points/vectors",
  "POST collections/*/points/vectors/delete",
  "PUT collections/*/points/payload",
  "POST collections/*/points/payload",
  "POST collections/*/points/payload/delete",
  "POST collections/*/points/payload/clear",
]);
/** @param url as the request names it: a path, and a query. */
export function rightOfRest(method: string, url: string): Right {
  // Browsers ask so, without a key, before they send a request to another origin.
  if (method === "OPTIONS") return "none";
  const parts = restPath(url);
  if (parts === undefined) return "administer";
  const [first = ""] = parts;
  const isReading = method === "GET" || method === "HEAD";
  if (
    isReading &&
    (parts.length === 0 || (parts.length === 1 && openPages.includes(first)) || first === webInterface)
  ) {
    return "none";
  }
  const asked = isReading ? `GET ${shapeOf(parts, true)}` : `${method} ${shapeOf(parts, false)}`;
  if (restReads.has(asked)) return "read";
  return restWrites.has(asked) || restWrites.has(`${method} ${parts.join("/")}`) ? "write" : "administer";
}

/**
 * The parts of a path as Qdrant reads it, which takes several slashes for one and none at the end; undefined when it is not clear
 * which path is meant.
 */
export function restPath(url: string): string[] | undefined {
  const [path = ""] = url.split(/[?#]/, 1);
  if (!path.startsWith("/")) return undefined;
  try {
    const parts = path
      .split("/")
      .filter((part) => part !== "")
      .map(decodeURIComponent);
    return parts.some((part) => part === "." || part === ".." || /[/\\]/.test(part)) ? undefined : parts;
  } catch {
    return undefined;
  }
}

/** The path with a star where a collection, an index, a vector or a point is named. */
function shapeOf(parts: readonly string[], isReading: boolean): string {
  const [first, , kind, , ...rest] = parts;
  if (first !== "collections" || parts.length < 2) return parts.join("/");
  const isNamedBelow = parts.length === 4 && (kind === "index" || kind === "vectors");
  const isPoint = parts.length === 4 && kind === "points" && isReading;
  const below = isNamedBelow || isPoint ? [kind, "*"] : parts.slice(2, 4);
  return [first, "*", ...below, ...rest].join("/");
}

const grpcOpen = asSet(["qdrant.Qdrant/HealthCheck", "grpc.health.v1.Health/Check"]);
const grpcReads = asSet([
  ...["Get", "Scroll", "Count", "Facet", "Query", "QueryBatch", "QueryGroups"].map((name) => `qdrant.Points/${name}`),
  ...["Search", "SearchBatch", "SearchGroups"].map((name) => `qdrant.Points/${name}`),
  ...["SearchMatrixPairs", "SearchMatrixOffsets"].map((name) => `qdrant.Points/${name}`),
  ...["Recommend", "RecommendBatch", "RecommendGroups"].map((name) => `qdrant.Points/${name}`),
  ...["Discover", "DiscoverBatch"].map((name) => `qdrant.Points/${name}`),
  ...["Get", "List", "CollectionExists"].map((name) => `qdrant.Collections/${name}`),
  ...["ListAliases", "ListCollectionAliases"].map((name) => `qdrant.Collections/${name}`),
]);
const grpcWrites = asSet([
  ...["Upsert", "Delete", "UpdateBatch"].map((name) => `qdrant.Points/${name}`),
  ...["UpdateVectors", "DeleteVectors"].map((name) => `qdrant.Points/${name}`),
  ...["SetPayload", "OverwritePayload", "DeletePayload", "ClearPayload"].map((name) => `qdrant.Points/${name}`),
  ...["CreateFieldIndex", "DeleteFieldIndex"].map((name) => `qdrant.Points/${name}`),
  ...["CreateVectorName", "DeleteVectorName"].map((name) => `qdrant.Points/${name}`),
  ...["Create", "Update", "Delete", "UpdateAliases"].map((name) => `qdrant.Collections/${name}`),
]);

/** @param path `/package.Service/Method` */
export function rightOfGrpc(path: string): Right {
  const name = path.slice(1);
  if (grpcOpen.has(name)) return "none";
  if (grpcReads.has(name)) return "read";
  return grpcWrites.has(name) ? "write" : "administer";
}

function asSet(names: readonly string[]): ReadonlySet<string> {
  return new Set(names);
}
