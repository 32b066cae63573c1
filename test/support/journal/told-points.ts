/** Compares two Qdrants by all that they tell of their points, collections and aliases, digit for digit. */
import { canonicalJson, lineOf, parseExactly } from "../../../runtime/domain/exact-json.ts";

export interface AskedServer {
  readonly url: string;
  readonly apiKey: string;
}

/** The text of the answer, and whether it says yes. */
export async function ask(
  { apiKey, url }: AskedServer,
  method: string,
  path: string,
  body?: string,
): Promise<{ readonly ok: boolean; readonly status: number; readonly text: string }> {
  const headers = { "api-key": apiKey, "content-type": "application/json" };
  const answer = await fetch(url + path, { method, headers, ...(body === undefined ? {} : { body }) });
  return { ok: answer.ok, status: answer.status, text: await answer.text() };
}

/** The answer. Throws when it says no. */
export async function told(server: AskedServer, method: string, path: string, body?: string): Promise<string> {
  const { ok, status, text } = await ask(server, method, path, body);
  if (!ok) throw new Error(`${method} ${path}: ${status} ${text.slice(0, 300)}`);
  return text;
}

/** Each point by its id, as it is written but for the order of its members. */
export async function toldPoints(server: AskedServer, collection: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (let offset = ""; ; ) {
    const body = `{"limit":1000,"with_payload":true,"with_vector":true${offset}}`;
    const path = `/collections/${encodeURIComponent(collection)}/points/scroll`;
    const { result } = parseExactly(await told(server, "POST", path, body)) as {
      result: { points: { id: unknown; shard_key?: unknown }[]; next_page_offset: unknown };
    };
    for (const point of result.points) found.set(`${lineOf(point.shard_key)} ${lineOf(point.id)}`, lineOf(point));
    if (result.next_page_offset === null) return found;
    offset = `,"offset":${lineOf(result.next_page_offset)}`;
  }
}

async function toldSettings(server: AskedServer, collection: string): Promise<string> {
  const { result } = parseExactly(await told(server, "GET", `/collections/${encodeURIComponent(collection)}`)) as {
    result: {
      config: Record<string, unknown>;
      payload_schema: Record<string, { data_type: unknown; params: unknown }>;
    };
  };
  // Held back while a standby follows.
  const { strict_mode_config: _none, ...config } = result.config;
  const indexes = Object.entries(result.payload_schema).map(([field, { data_type, params }]) => [
    field,
    params ?? data_type,
  ]);
  return canonicalJson({ config, indexes: Object.fromEntries(indexes) });
}

export async function collectionsOf(server: AskedServer): Promise<string[]> {
  const { result } = parseExactly(await told(server, "GET", "/collections")) as {
    result: { collections: { name: string }[] };
  };
  return result.collections.map(({ name }) => name).sort();
}

async function aliasesOf(server: AskedServer): Promise<string[]> {
  const { result } = parseExactly(await told(server, "GET", "/aliases")) as { result: { aliases: unknown[] } };
  return result.aliases.map((alias) => canonicalJson(alias)).sort();
}

/** What the second holds otherwise than the first, each in words; empty when they are equal. */
export async function differencesBetween(wanted: AskedServer, found: AskedServer): Promise<string[]> {
  const differences: string[] = [];
  const [names, foundNames] = [await collectionsOf(wanted), await collectionsOf(found)];
  if (`${names}` !== `${foundNames}`) differences.push(`collections ${foundNames} where ${names}`);
  for (const name of names.filter((each) => foundNames.includes(each))) {
    const [settings, foundSettings] = [await toldSettings(wanted, name), await toldSettings(found, name)];
    if (settings !== foundSettings) differences.push(`${name}: settings ${foundSettings} where ${settings}`);
    const [points, foundPoints] = [await toldPoints(wanted, name), await toldPoints(found, name)];
    for (const id of new Set([...points.keys(), ...foundPoints.keys()])) {
      if (points.get(id) === foundPoints.get(id)) continue;
      differences.push(`${name} ${id}: ${foundPoints.get(id)} where ${points.get(id)}`);
    }
  }
  const [aliases, foundAliases] = [await aliasesOf(wanted), await aliasesOf(found)];
  if (`${aliases}` !== `${foundAliases}`) differences.push(`aliases ${foundAliases} where ${aliases}`);
  return differences;
}
