/** Advisories: consequences of a region's settings that are not seen in them. Every preview shows them. */
import type { Region } from "../region.ts";
import { bucketRpoMinutes } from "./objectives.ts";
import type { KubernetesStackSettings } from "./stack-settings.ts";
import type { Replicate } from "./tiers.ts";

export interface Advisory {
  readonly severity: "info" | "warn";
  readonly text: string;
}

/** @param peer the other region, once its outputs are known here. */
export function advisoriesOn(settings: KubernetesStackSettings, peer: Pick<Region, "qdrant"> | undefined): Advisory[] {
  const { gate, qdrant, replicate, schedules } = settings.kubernetes;
  const minutes = bucketRpoMinutes(schedules);
  const follows = replicate === undefined ? "" : `; the standby follows every ${inTiers(replicate)}`;
  const advisories: Advisory[] = [];
  const info = (text: string) => advisories.push({ severity: "info", text });
  const warn = (text: string) => advisories.push({ severity: "warn", text });

  info(`RPO from copied recovery points alone: ${minutes} min and the time they take${follows}`);
  if (peer === undefined) {
    warn(
      `nothing is copied from or to ${settings.peer} yet: give its \`peer\` output as secrets.peer once that stack is up`,
    );
  }
  if (replicate !== undefined && peer?.qdrant.peers.some((url) => url.startsWith("http:"))) {
    warn(`the Qdrant of ${settings.peer} is reached over plain HTTP: keep the path between the regions private`);
  }
  if (replicate?.folders === false && settings.configuration.length + settings.userData.length > 0) {
    info(
      "configuration and user data come to the other region with the recovery points of captures and copies: kubernetes.replicate.folders lets them follow, and mounts their volumes all the time",
    );
  }
  const ownerless = settings.kubernetes.claims.filter(({ group }) => group === undefined).map(({ claim }) => claim);
  if (ownerless.length > 0) {
    info(
      `captures read ${ownerless.join(", ")} as user and group 65532, and what that may not read makes recovery points partial: name the files' group in kubernetes.claims, and their user, whose they are when a failover restores them`,
    );
  }
  if (qdrant.existing !== undefined) {
    warn(
      "whoever has the key of the existing Qdrant and reaches its pods gets past the gate: let clients have neither",
    );
  }
  if (qdrant.keyGeneration > 1 && /:v?1\.16\b[^/]*@/.test(qdrant.image)) {
    warn(
      "Qdrant 1.16 knows one API key at a time: from its first restarted pod on, it refuses the key before this generation. Run 1.17 or newer before keyGeneration is raised",
    );
  }
  if (settings.store === "s3") {
    info(
      "of the buckets nothing is declared or checked: locks, versions and encryption are what the store was told. Recovery points reach the other region by copies of qdrant-dr's own, writes are create-only by its requests and not by a policy. Whoever has secrets.store.write replaces and deletes what the store lets him: turn on Object Lock and versions, give jobs keys of their own with secrets.store.jobs, and run `qdrant-dr doctor --store` against both",
    );
  }
  if (settings.kubernetes.egressCidrs.some((block) => block.endsWith("/0"))) {
    info(
      "pods with identities and store keys may send to any address on the stores' ports: name those of the stores, such as VPC endpoints, in kubernetes.egressCidrs",
    );
  }
  if (settings.infrastructure.kubernetes !== undefined && settings.kubernetes.apiServerCidrs.length === 0) {
    info("captures may send to any address on ports 443 and 6443: name the API server's in kubernetes.apiServerCidrs");
  }
  const hasName = settings.store === "aws" && settings.aws.traffic !== undefined;
  if (!hasName && Object.keys(gate.service.annotations).length === 0) {
    info(
      "no public name is declared: clients find the active region by the one gate that answers /.qdrant-dr/open with 200",
    );
  }
  return advisories;
}

function inTiers({ everySeconds, tiers }: Replicate): string {
  const others = Object.entries(tiers).map(([named, seconds]) => `${named} every ${seconds} s`);
  return [`${everySeconds} s`, ...others].join(", ");
}
