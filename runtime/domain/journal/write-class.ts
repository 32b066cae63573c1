/**
 * What a call that is no read changes, by its method and path: a table of all that Qdrant has. What is not in it may change anything, and is
 * told as such: a newer Qdrant's calls cost captures until somebody has looked at them.
 */
import { restPath } from "../gate/rights.ts";

export type Write =
  /** Of points by their ids or by filters. */
  | { readonly changes: "points"; readonly collection: string }
  /** Its settings, its indexes, or whether it is there at all. */
  | { readonly changes: "collection"; readonly collection: string }
  | { readonly changes: "aliases" }
  | { readonly changes: "shard keys"; readonly collection: string }
  /** Points that nobody names: a snapshot is put in their place. */
  | { readonly changes: "everything"; readonly collection?: string };

/** What of a write stands behind `collections/*`: the star is a name. */
const points = asSet([
  "PUT points",
  "POST points/delete",
  "POST points/batch",
  "PUT points/vectors",
  "POST points/vectors/delete",
  "PUT points/payload",
  "POST points/payload",
  "POST points/payload/delete",
  "POST points/payload/clear",
]);
const collection = asSet([
  "PUT",
  "PATCH",
  "DELETE",
  "PUT index",
  "DELETE index/*",
  "PUT vectors/*",
  "DELETE vectors/*",
]);
const shardKeys = asSet(["PUT shards", "POST shards/delete"]);
/** They read, or make files beside the collections. */
const harmless = asSet([
  "POST snapshots",
  "DELETE snapshots/*",
  "POST shards/*/snapshots",
  "DELETE shards/*/snapshots/*",
  "POST shards/*/snapshot/partial/create",
]);
/** Of no one collection, and of no points. */
const harmlessElsewhere = asSet([
  "POST snapshots",
  "DELETE snapshots/*",
  "POST cluster/recover",
  "DELETE cluster/peer/*",
  "PUT cluster/metadata/keys/*",
  "DELETE cluster/metadata/keys/*",
  "POST cluster/telemetry",
  "POST locks",
  "DELETE issues",
  "POST audit/logs",
]);

/** @returns undefined for what changes nothing; @param isRead whether it is on the list of reads. */
export function writeOfRest(method: string, url: string, isRead: boolean): Write | undefined {
  if (isRead || method === "GET" || method === "HEAD" || method === "OPTIONS") return undefined;
  const parts = restPath(url);
  if (parts === undefined) return { changes: "everything" };
  const [first, name, ...below] = parts;
  if (first !== "collections" || name === undefined) {
    return harmlessElsewhere.has(shape(method, parts)) ? undefined : { changes: "everything" };
  }
  if (method === "POST" && name === "aliases" && below.length === 0) return { changes: "aliases" };
  const asked = shape(method, below);
  if (harmless.has(asked)) return undefined;
  if (points.has(asked)) return { changes: "points", collection: name };
  if (collection.has(asked)) return { changes: "collection", collection: name };
  if (shardKeys.has(asked)) return { changes: "shard keys", collection: name };
  return { changes: "everything", collection: name };
}

/** With a star where something is named: an index, a vector, a shard, a snapshot, a peer, a key. */
function shape(method: string, parts: readonly string[]): string {
  const named = asSet(["index", "vectors", "shards", "snapshots", "peer", "keys"]);
  const path = parts.map((part, place) => (named.has(parts[place - 1] ?? "") && !isFixed(part, parts[0]) ? "*" : part));
  return [method, path.join("/")].join(" ").trim();
}

function isFixed(part: string, first: string | undefined): boolean {
  return (first === "points" || first === "shards") && part === "delete";
}

const grpcPoints = asSet([
  ...["Upsert", "Delete", "UpdateBatch", "UpdateVectors", "DeleteVectors"],
  ...["SetPayload", "OverwritePayload", "DeletePayload", "ClearPayload"],
]);
const grpcCollection = asSet(["CreateFieldIndex", "DeleteFieldIndex", "CreateVectorName", "DeleteVectorName"]);

/** The collection stands in the message. */
export type GrpcWrite = Write["changes"] | undefined;

/** @param path `/package.Service/Method`; @param isRead whether it is on the list of reads. */
export function writeOfGrpc(path: string, isRead: boolean): GrpcWrite {
  if (isRead) return undefined;
  const [, service, method = ""] = /^\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
  if (service === "qdrant.Points" && grpcPoints.has(method)) return "points";
  if (service === "qdrant.Points" && grpcCollection.has(method)) return "collection";
  if (service === "qdrant.Collections") {
    if (method === "UpdateAliases") return "aliases";
    if (method === "Create" || method === "Update" || method === "Delete") return "collection";
    if (method === "CreateShardKey" || method === "DeleteShardKey") return "shard keys";
  }
  if (service === "qdrant.Snapshots" && /^(Create|List|Delete)/.test(method)) return undefined;
  return "everything";
}

function asSet(names: readonly string[]): ReadonlySet<string> {
  return new Set(names);
}
