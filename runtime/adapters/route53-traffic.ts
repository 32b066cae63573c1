/**
 * `TrafficControl` over the weighted records of one name in Route 53, a record for each region. Which region leads, and since
 * which epoch, stands in a TXT record beside them. Both are changed in one batch, which takes nothing unless that record is still
 * the one that was read: an older epoch never wins over a newer one.
 */
import type { Change, ResourceRecordSet, Route53Client } from "@aws-sdk/client-route-53";
import { z } from "zod";
import { DrError } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { TrafficControl } from "../ports/traffic.ts";
import { type RetryPolicy, retry } from "../time/retry.ts";
import { systemClock } from "../time/system-clock.ts";
import { waitUntil } from "../time/wait-until.ts";
import { agentsFor } from "./proxies.ts";

const weights = { leads: 100, other: 0 } as const;
/** Route 53 says that its servers answer alike within a minute; then clients' resolvers follow as the records' TTL says. */
const inSyncWithinMs = 120_000;
const pollMs = 500;
const requestTimeoutMs = 10_000;
const ttlSeconds = 60;

/** The records were others than those that were read: another writer was faster. */
class RecordsChanged extends Error {}

const conflictPolicy: RetryPolicy = {
  attempts: 3,
  firstDelayMs: 0,
  isRetryable: (error) => error instanceof RecordsChanged,
};

/** Refusals of who asks, whatever status they come with. */
const deniedNames = ["AccessDenied", "Credentials", "NotAuthorized", "Signature", "Token", "UnrecognizedClient"];
/** Refusals with the status of a wrong request that a later one does not meet. */
const passingNames = ["Throttling", "PriorRequestNotComplete", "RequestLimitExceeded", "TooManyRequests"];

const leaderSchema = z.object({ region: z.string(), epoch: z.coerce.number().int().positive() });
type Leader = z.infer<typeof leaderSchema>;

interface Records {
  /** Of the regions, by their names. */
  readonly regions: ReadonlyMap<string, ResourceRecordSet>;
  readonly marker: ResourceRecordSet | undefined;
  readonly leader: Leader | undefined;
}

export interface Route53Address {
  readonly zoneId: string;
  readonly name: string;
  /** Whose record must be there. */
  readonly region: string;
}

export class Route53Traffic implements TrafficControl {
  readonly #address: Route53Address;
  readonly #clock: Clock;
  #client: Promise<Route53Client> | undefined;

  constructor(address: Route53Address, clock: Clock = systemClock) {
    this.#address = address;
    this.#clock = clock;
  }

  /** As long as nothing was moved, it is as the stacks made it, which is the first epoch. */
  async current(): Promise<{ region: string; epoch: number } | undefined> {
    const { leader, regions } = await this.#read();
    if (leader !== undefined) return leader;
    const [first, ...more] = [...regions].filter(([, { Weight = 0 }]) => Weight > 0);
    return first === undefined || more.length > 0 ? undefined : { region: first[0], epoch: 1 };
  }

  async pointTo(target: { readonly region: string; readonly epoch: number }): Promise<void> {
    const change = await retry(this.#clock, conflictPolicy, async () => {
      const records = await this.#read();
      this.#refuseOlder(target, records.leader);
      return this.#change(changesTo(target, records, this.#markerName));
    }).catch((error: unknown) => {
      if (!(error instanceof RecordsChanged)) throw error;
      throw new DrError("EPOCH_CONFLICT", `others change the records of ${this.#address.name} all the time`, {
        hint: "run it again",
        cause: error,
      });
    });
    await this.#waitUntilInSync(change);
  }

  get #markerName(): string {
    return `_qdrant-dr.${this.#address.name}`;
  }

  #refuseOlder({ epoch, region }: Leader, leader: Leader | undefined): void {
    if (leader === undefined || leader.epoch < epoch || (leader.epoch === epoch && leader.region === region)) return;
    throw new DrError(
      "EPOCH_CONFLICT",
      `${this.#address.name} leads to ${leader.region} since epoch ${leader.epoch}; ${region} wants it for epoch ${epoch}`,
    );
  }

  async #read(): Promise<Records> {
    const { name, region, zoneId } = this.#address;
    const found = await this.#recordsOf(name);
    const regions = new Map(
      found.filter(({ Weight }) => Weight !== undefined).map((record) => [record.SetIdentifier ?? "", record]),
    );
    if (!regions.has(region)) {
      throw new DrError("SETTING_INVALID", `the zone ${zoneId} has no weighted record ${name} of ${region}`, {
        hint: `make it: \`pulumi up\` of the stack ${region}`,
      });
    }
    const marker = (await this.#recordsOf(this.#markerName)).find(({ Type }) => Type === "TXT");
    return { regions, marker, leader: marker && leaderIn(marker) };
  }

  async #recordsOf(name: string): Promise<ResourceRecordSet[]> {
    const { ListResourceRecordSetsCommand } = await import("@aws-sdk/client-route-53");
    const asked = { HostedZoneId: this.#address.zoneId, StartRecordName: name };
    const { ResourceRecordSets = [] } = await this.#send((client) =>
      client.send(new ListResourceRecordSetsCommand(asked)),
    );
    return ResourceRecordSets.filter((record) => record.Name === `${name}.`);
  }

  /** Answers the change's id. Throws RecordsChanged when the records are others by now. */
  async #change(changes: Change[]): Promise<string | undefined> {
    const { ChangeResourceRecordSetsCommand } = await import("@aws-sdk/client-route-53");
    const command = new ChangeResourceRecordSetsCommand({
      HostedZoneId: this.#address.zoneId,
      ChangeBatch: { Comment: "qdrant-dr failover", Changes: changes },
    });
    try {
      return (await this.#send((client) => client.send(command))).ChangeInfo?.Id;
    } catch (error) {
      if (!(error instanceof DrError) || nameOf(error.cause) !== "InvalidChangeBatch") throw error;
      throw new RecordsChanged(error.message, { cause: error });
    }
  }

  async #waitUntilInSync(change: string | undefined): Promise<void> {
    const { GetChangeCommand } = await import("@aws-sdk/client-route-53");
    const expired = () =>
      new DrError("UNREACHABLE", `Route 53 took the change of ${this.#address.name} and does not spread it`, {
        hint: "run it again",
      });
    const wait = { what: "Route 53 to spread a change", withinMs: inSyncWithinMs, everyMs: pollMs, expired };
    await waitUntil(this.#clock, wait, async () => {
      const { ChangeInfo } = await this.#send((client) => client.send(new GetChangeCommand({ Id: change })));
      return ChangeInfo?.Status === "INSYNC";
    });
  }

  async #send<Answer>(ask: (client: Route53Client) => Promise<Answer>): Promise<Answer> {
    this.#client ??= openClient();
    try {
      return await ask(await this.#client);
    } catch (cause) {
      const { Route53ServiceException } = await import("@aws-sdk/client-route-53");
      const status = cause instanceof Route53ServiceException ? cause.$metadata.httpStatusCode : undefined;
      throw this.#translated(cause as Error, status);
    }
  }

  #translated(cause: Error, status: number | undefined): DrError {
    const { name, zoneId } = this.#address;
    const isNamed = (parts: readonly string[]) => parts.some((part) => cause.name.includes(part));
    if (cause.name === "NoSuchHostedZone") {
      return new DrError("SETTING_INVALID", `there is no hosted zone ${zoneId}`, {
        hint: "correct aws.traffic",
        cause,
      });
    }
    if (status === 401 || status === 403 || isNamed(deniedNames)) {
      return new DrError("ACCESS_DENIED", `Route 53 does not let this identity at ${name}: ${cause.message}`, {
        hint: `let it list and change the records of the zone ${zoneId}`,
        cause,
      });
    }
    if (status !== undefined && status >= 400 && status < 500 && !isNamed(passingNames)) {
      return new DrError(
        "SETTING_INVALID",
        `Route 53 refuses what is asked for ${name}: ${cause.name}: ${cause.message}`,
        {
          hint: `compare aws.traffic with the zone ${zoneId} and its records; \`pulumi up\` makes them again`,
          cause,
        },
      );
    }
    return new DrError("UNREACHABLE", `Route 53 does not do it for ${name}: ${cause.message}`, {
      hint: "run it again",
      cause,
    });
  }
}

/** The library takes its time to load, and few runs need it. */
async function openClient(): Promise<Route53Client> {
  const { Route53Client } = await import("@aws-sdk/client-route-53");
  // Route 53 is one for all regions.
  return new Route53Client({
    region: "us-east-1",
    requestHandler: { requestTimeout: requestTimeoutMs, ...agentsFor({ keepAlive: true }) },
  });
}

function changesTo({ epoch, region }: Leader, { marker, regions }: Records, markerName: string): Change[] {
  const weighted = [...regions].map(
    ([name, record]): Change => ({
      Action: "UPSERT",
      ResourceRecordSet: { ...record, Weight: name === region ? weights.leads : weights.other },
    }),
  );
  const value = JSON.stringify(`qdrant-dr region=${region} epoch=${epoch}`);
  const next: ResourceRecordSet = {
    Name: markerName,
    Type: "TXT",
    TTL: ttlSeconds,
    ResourceRecords: [{ Value: value }],
  };
  return [
    ...weighted,
    // A delete is taken only of exactly what is there, and a create only where nothing is.
    ...(marker === undefined ? [] : [{ Action: "DELETE", ResourceRecordSet: marker } as const]),
    { Action: "CREATE", ResourceRecordSet: next },
  ];
}

function leaderIn({ Name, ResourceRecords = [] }: ResourceRecordSet): Leader {
  const text = ResourceRecords[0]?.Value ?? "";
  const result = leaderSchema.safeParse(/region=(?<region>\S+) epoch=(?<epoch>\d+)"$/.exec(text)?.groups);
  if (result.success) return result.data;
  throw new DrError(
    "SETTING_INVALID",
    `the record TXT ${Name} says ${text.slice(0, 100)}, which qdrant-dr did not write`,
    {
      hint: "keep that name for qdrant-dr",
    },
  );
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : "";
}
