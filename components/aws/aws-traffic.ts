import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { gateOpenPath } from "../../runtime/domain/roles/gate.ts";
import { addressOf } from "../../runtime/domain/server-address.ts";
import type { TrafficSettings } from "../../runtime/domain/settings/aws-settings.ts";

export interface AwsTrafficArgs {
  /** Name of the region: by it its record is told from the other region's. */
  readonly region: string;
  readonly isActive: boolean;
  /** Where clients outside the cluster reach the gate. */
  readonly gateUrl: string;
  readonly settings: TrafficSettings;
  readonly tags: Readonly<Record<string, string>>;
}

/** All of the clients, or none of them unless every other gate is found closed. */
const weights = { active: 100, other: 0 } as const;

/**
 * This region's record of the public name. A failover moves the weights of both regions' records itself, at once, so that no `up` stands
 * between it and the clients; an `up` writes what the epoch records say, which is the same.
 */
export class AwsTraffic extends pulumi.ComponentResource {
  /** The name, and what moves it. */
  readonly endpoint: { readonly url: string; readonly route53: { readonly zoneId: string; readonly name: string } };

  constructor(name: string, args: AwsTrafficArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:aws:AwsTraffic", name, args, opts);
    const { gateUrl, isActive, region, settings, tags } = args;
    const { host } = addressOf(gateUrl);
    const { url, zoneId } = settings;
    this.endpoint = { url, route53: { zoneId, name: addressOf(url).host } };
    const check = settings.healthCheck ? this.#healthCheck(name, gateUrl, tags) : undefined;
    new aws.route53.Record(
      `${name}-record`,
      {
        ...this.endpoint.route53,
        type: "CNAME",
        ttl: settings.ttlSeconds,
        records: [host],
        setIdentifier: region,
        // It is this region's own: an `up` that was killed as it made it goes on.
        allowOverwrite: true,
        weightedRoutingPolicies: [{ weight: isActive ? weights.active : weights.other }],
        healthCheckId: check?.id,
      },
      { parent: this },
    );
    this.registerOutputs({ endpoint: this.endpoint });
  }

  /** At most one gate is open. While none is, Route 53 goes by the weights alone. */
  #healthCheck(name: string, gateUrl: string, tags: Readonly<Record<string, string>>): aws.route53.HealthCheck {
    const gate = addressOf(gateUrl);
    return new aws.route53.HealthCheck(
      `${name}-open`,
      {
        type: gate.isTls ? "HTTPS" : "HTTP",
        fqdn: gate.host,
        port: gate.port,
        resourcePath: `${gate.prefix}${gateOpenPath}`,
        requestInterval: 10,
        failureThreshold: 2,
        tags,
      },
      { parent: this },
    );
  }
}
