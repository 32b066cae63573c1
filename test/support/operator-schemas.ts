/**
 * The definitions of the Prometheus operator's objects, v0.85.0, as far as they are declared here: without descriptions, and without the
 * receivers that nobody declares.
 */
import { readFileSync } from "node:fs";
import { systemClock } from "../../runtime/time/system-clock.ts";
import { waitUntil } from "../../runtime/time/wait-until.ts";
import type { KubernetesServer } from "./servers/kubernetes-server.ts";

const longestMs = 20_000;
const kinds = ["podmonitors", "prometheusrules", "alertmanagerconfigs"];
const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/** Returns when the server takes objects of these kinds. */
export async function installOperatorSchemas(server: KubernetesServer): Promise<void> {
  for (const kind of kinds) {
    const definition = JSON.parse(readFileSync(new URL(`./operator-schemas/${kind}.json`, import.meta.url), "utf8"));
    await server.create(definitions, definition);
    const version = definition.spec.versions[0].name;
    const wait = { what: `the server to take ${kind}`, withinMs: longestMs, everyMs: 50 };
    await waitUntil(systemClock, wait, async () => {
      return (await server.call("GET", `/apis/monitoring.coreos.com/${version}/${kind}`)).status === 200;
    });
  }
}
