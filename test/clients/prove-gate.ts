/**
 * Proves that clients see the same through a gate as without it, with what no package registry of ours has: the official Python client, by
 * REST and gRPC, and Qdrant's own suite of its REST API. Run it as `npm run prove:gate -- --python <python> [--qdrant <folder>]`: the Python
 * with qdrant-client and, for the suite, with what `tests/pyproject.toml` names; the folder a checkout of Qdrant at the server's version.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { FrontProcess } from "../support/servers/front-process.ts";
import { startOpenGate } from "../support/servers/open-gate.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const program = fileURLToPath(new URL("program.py", import.meta.url));
const clientKey = "the-key-that-clients-have";
const administratorKey = "the-key-of-administrators";
const { values } = parseArgs({ options: { python: { type: "string" }, qdrant: { type: "string" } } });
const { python = "python3", qdrant } = values;

const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-prove-"));
const say = (text: string) => process.stdout.write(`${text}\n`);
const server = await QdrantServer.start();
let gate: FrontProcess | undefined;
try {
  const more = { ADMINISTRATOR_KEY: administratorKey };
  gate = await startOpenGate(folder, server, more);
  const isProven = [await proveClient("rest", gate), await proveClient("grpc", gate), await proveSuite(gate)];
  process.exitCode = isProven.every(Boolean) ? 0 : 1;
} finally {
  await gate?.stop();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function proveClient(protocol: "rest" | "grpc", { url }: FrontProcess): Promise<boolean> {
  const port = new URL(url).port;
  const ports = [new URL(server.url).port, new URL(server.grpcUrl).port];
  const direct = await run(python, [program, protocol, ...ports, server.apiKey]);
  const gated = await run(python, [program, protocol, port, port, clientKey]);
  const isSame = direct.code === 0 && gated.code === 0 && direct.output === gated.output;
  say(
    `Python client, ${protocol}: ${isSame ? "the same through the gate" : `direct:\n${direct.output}\nthrough the gate:\n${gated.output}`}`,
  );
  return isSame;
}

/** The tests that fail through the gate fail without it, too. */
async function proveSuite({ url }: FrontProcess): Promise<boolean> {
  if (qdrant === undefined) return true;
  const suite = async (host: string, key: string) => {
    const env = { QDRANT_HOST: host, QDRANT_HOST_HEADERS: JSON.stringify({ "api-key": key }) };
    const { output } = await run(
      python,
      ["-m", "pytest", "-q", "-rfE", "-p", "no:cacheprovider", "openapi"],
      env,
      join(qdrant, "tests"),
    );
    const last = output.trimEnd().split("\n").at(-1) ?? "";
    const failed = [...output.matchAll(/^(?:FAILED|ERROR) (\S+)/gm)].map(([, test]) => test);
    return { last, failed, passed: Number(/(\d+) passed/.exec(last)?.[1] ?? 0) };
  };
  const direct = await suite(server.url, server.apiKey);
  const gated = await suite(url, administratorKey);
  say(`Qdrant's OpenAPI suite: direct: ${direct.last}; through the gate: ${gated.last}`);
  const differing = gated.failed.filter((test) => !direct.failed.includes(test));
  for (const test of differing) say(`fails through the gate alone: ${test}`);
  return direct.passed > 0 && gated.passed >= direct.passed && differing.length === 0;
}

async function run(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}, cwd = folder) {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece) => (output += String(piece)));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, output };
}
