/**
 * Proves that a failover moves the public name by the records' control alone, and that an older epoch never wins. AWS is an emulator:
 * it answers no names, checks no gate, and that AWS refuses alike is read in its documentation.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  ChangeResourceRecordSetsCommand,
  CreateHostedZoneCommand,
  ListResourceRecordSetsCommand,
  Route53Client,
} from "@aws-sdk/client-route-53";
import { expect } from "chai";
import { Route53Traffic } from "../../runtime/adapters/route53-traffic.ts";
import { DrError } from "../../runtime/errors.ts";
import type { FailoverHooks } from "../../runtime/ports/failover-hooks.ts";
import type { FailoverRequest } from "../../runtime/workflows/failover/request.ts";
import { planAndFailOver } from "../support/estates/change-roles.ts";
import { FakeStacks, regionNamed } from "../support/estates/fake-region.ts";
import { closedPorts } from "../support/estates/lonely-region.ts";
import { silently, systemClock } from "../support/estates/recovery-estate.ts";
import { StandbyPair } from "../support/estates/standby-pair.ts";
import { codeOf } from "../support/expect-code.ts";
import { AwsEmulator } from "../support/servers/aws-emulator.ts";

describe("public name in Route 53", function () {
  this.timeout(60_000);
  const surroundings = new Map<string, string | undefined>();
  let emulator: AwsEmulator;
  let client: Route53Client;
  let zones = 0;

  before(async () => {
    emulator = await AwsEmulator.start();
    for (const [name, value] of Object.entries(emulator.env)) {
      surroundings.set(name, process.env[name]);
      process.env[name] = value;
    }
    client = new Route53Client({ region: "us-east-1" });
  });
  after(async () => {
    client?.destroy();
    for (const [name, value] of surroundings) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    await emulator?.stop();
  });

  const name = "search.example.org";

  /** A zone with a record for each region, as the stacks make them. */
  async function zoneWith(regions: Readonly<Record<string, number>>): Promise<string> {
    zones += 1;
    const { HostedZone } = await client.send(
      new CreateHostedZoneCommand({ Name: "example.org", CallerReference: String(zones) }),
    );
    const zoneId = (HostedZone?.Id ?? "").replace("/hostedzone/", "");
    const records = Object.entries(regions).map(([region, Weight]) => ({
      Name: name,
      Type: "CNAME" as const,
      TTL: 30,
      SetIdentifier: region,
      Weight,
      HealthCheckId: `check-${region}`,
      ResourceRecords: [{ Value: `gate.${region}.example` }],
    }));
    await change(
      zoneId,
      records.map((ResourceRecordSet) => ({ Action: "CREATE" as const, ResourceRecordSet })),
    );
    return zoneId;
  }

  async function change(
    HostedZoneId: string,
    Changes: NonNullable<ChangeResourceRecordSetsCommand["input"]["ChangeBatch"]>["Changes"],
  ): Promise<void> {
    await client.send(new ChangeResourceRecordSetsCommand({ HostedZoneId, ChangeBatch: { Changes } }));
  }

  async function recordsIn(zoneId: string) {
    const { ResourceRecordSets = [] } = await client.send(new ListResourceRecordSetsCommand({ HostedZoneId: zoneId }));
    return ResourceRecordSets.filter(({ Type }) => Type === "CNAME" || Type === "TXT");
  }

  async function weightsIn(zoneId: string): Promise<Record<string, number | undefined>> {
    const records = (await recordsIn(zoneId)).filter(({ Type }) => Type === "CNAME");
    return Object.fromEntries(records.map(({ SetIdentifier, Weight }) => [SetIdentifier, Weight]));
  }

  const control = (zoneId: string, region: string) => new Route53Traffic({ zoneId, name, region });

  it("leads where the stacks' records say, until it is moved; then there, and nothing of the records changes but their weights", async () => {
    const zoneId = await zoneWith({ prod: 100, dr: 0 });
    const traffic = control(zoneId, "dr");
    expect(await traffic.current()).to.deep.equal({ region: "prod", epoch: 1 });
    const earlier = await recordsIn(zoneId);

    await traffic.pointTo({ region: "dr", epoch: 2 });
    expect(await weightsIn(zoneId)).to.deep.equal({ prod: 0, dr: 100 });
    expect(await traffic.current()).to.deep.equal({ region: "dr", epoch: 2 });
    const later = (await recordsIn(zoneId)).filter(({ Type }) => Type === "CNAME");
    const without = (records: typeof later) => records.map(({ Weight: _, ...rest }) => rest);
    expect(without(later)).to.deep.equal(without(earlier));

    await traffic.pointTo({ region: "dr", epoch: 2 });
    await control(zoneId, "prod").pointTo({ region: "prod", epoch: 3 });
    expect(await weightsIn(zoneId)).to.deep.equal({ prod: 100, dr: 0 });
    expect(await traffic.current()).to.deep.equal({ region: "prod", epoch: 3 });
  });

  it("an older epoch, and another region for the same one, is refused with EPOCH_CONFLICT, and nothing moves", async () => {
    const zoneId = await zoneWith({ prod: 100, dr: 0 });
    await control(zoneId, "dr").pointTo({ region: "dr", epoch: 5 });
    for (const epoch of [4, 5]) {
      expect(await codeOf(control(zoneId, "prod").pointTo({ region: "prod", epoch }))).to.equal("EPOCH_CONFLICT");
    }
    expect(await weightsIn(zoneId)).to.deep.equal({ prod: 0, dr: 100 });
  });

  it("of failovers that meet, the newest epoch wins, whichever comes first", async () => {
    const zoneId = await zoneWith({ prod: 100, dr: 0 });
    const moves = [2, 3, 4, 5].map((epoch) => {
      const region = epoch % 2 === 0 ? "dr" : "prod";
      return control(zoneId, region).pointTo({ region, epoch });
    });
    const outcomes = await Promise.allSettled(moves);
    const won = outcomes.flatMap(({ status }, index) => (status === "fulfilled" ? [index + 2] : []));
    const current = await control(zoneId, "dr").current();
    expect(won).to.include(current?.epoch);
    expect(current?.epoch).to.equal(Math.max(...won));
    expect((await weightsIn(zoneId))[current?.region ?? ""]).to.equal(100);
  });

  it("a failover that is killed as it leads clients here, and run again, has led them here; told once more, it leads them nowhere else", async () => {
    const zoneId = await zoneWith({ east: 100, west: 0 });
    const pair = await StandbyPair.start();
    try {
      await pair.client.createCollection("notes", { vectors: { size: 2, distance: "Dot" } });
      await pair.client.upsert("notes", { wait: true, points: [{ id: 1, vector: [1, 2] }] });
      await (await pair.replication()).cycle("exact");
      const region = regionNamed("west");
      const stacks = new FakeStacks(pair.west.control);
      const request = async (run: string, hooks?: FailoverHooks): Promise<FailoverRequest> => ({
        kind: "failover",
        stack: "west",
        region,
        repository: await pair.repository(),
        database: pair.standby,
        stacks,
        run,
        hooks,
        traffic: control(zoneId, "west"),
        lostControl: pair.east.control,
        acceptedDataLossSeconds: 3600,
        clock: systemClock,
        progress: silently,
      });
      const kill: FailoverHooks = async ({ step, when }) => {
        if (step === "traffic" && when === "after") throw new Error("killed");
      };
      const killed = planAndFailOver(await request("run-1", kill));
      await killed.then(
        () => expect.fail("it was not killed"),
        () => undefined,
      );
      expect(await weightsIn(zoneId)).to.deep.equal({ east: 0, west: 100 });
      for (const key of [...pair.west.control.objects.keys()]) {
        if (key.includes("/alive.")) pair.west.control.objects.delete(key);
      }
      const { steps } = await planAndFailOver(await request("run-2"));
      expect(steps.find((step) => step.name === "traffic")?.detail).to.equal("the endpoint leads to west");
      expect(await control(zoneId, "west").current()).to.deep.equal({ region: "west", epoch: 2 });
      expect(await weightsIn(zoneId)).to.deep.equal({ east: 0, west: 100 });
    } finally {
      await pair.stop();
    }
  });

  it("a region whose record was never made is told before anything moves", async () => {
    const zoneId = await zoneWith({ prod: 100 });
    for (const asked of [control(zoneId, "dr").current(), control(zoneId, "dr").pointTo({ region: "dr", epoch: 2 })]) {
      expect(await codeOf(asked)).to.equal("SETTING_INVALID");
    }
    expect(await weightsIn(zoneId)).to.deep.equal({ prod: 100 });
  });

  it("a TXT record that is none of ours stays as it is, and nothing moves", async () => {
    const zoneId = await zoneWith({ prod: 100, dr: 0 });
    const theirs = {
      Name: `_qdrant-dr.${name}`,
      Type: "TXT" as const,
      TTL: 60,
      ResourceRecords: [{ Value: '"v=spf1"' }],
    };
    await change(zoneId, [{ Action: "CREATE", ResourceRecordSet: theirs }]);
    expect(await codeOf(control(zoneId, "dr").pointTo({ region: "dr", epoch: 2 }))).to.equal("SETTING_INVALID");
    expect(await weightsIn(zoneId)).to.deep.equal({ prod: 100, dr: 0 });
  });

  for (const [status, refusal, code] of [
    [400, "InvalidInput", "SETTING_INVALID"],
    [404, "NoSuchHealthCheck", "SETTING_INVALID"],
    [403, "AccessDenied", "ACCESS_DENIED"],
    [403, "SignatureDoesNotMatch", "ACCESS_DENIED"],
    [400, "ExpiredToken", "ACCESS_DENIED"],
    [400, "Throttling", "UNREACHABLE"],
    [503, "ServiceUnavailable", "UNREACHABLE"],
  ] as const) {
    it(`${refusal} with ${status} is ${code}, and its message is told`, async () => {
      const server = createServer((_, answer) => {
        const body = `<ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Error><Type>Sender</Type><Code>${refusal}</Code><Message>said so</Message></Error></ErrorResponse>`;
        answer.writeHead(status, { "content-type": "text/xml" }).end(body);
      });
      await once(server.listen(0, "127.0.0.1"), "listening");
      const url = process.env["AWS_ENDPOINT_URL"];
      process.env["AWS_ENDPOINT_URL"] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      try {
        const error = await control("ZONE12345", "dr")
          .current()
          .catch((thrown: unknown) => thrown);
        expect(error).to.be.instanceOf(DrError);
        expect(error).to.include({ code });
        expect(String(error)).to.contain("said so");
      } finally {
        process.env["AWS_ENDPOINT_URL"] = url;
        server.closeAllConnections();
        await once(server.close(), "close");
      }
    });
  }

  it("a zone that is not there, and an AWS that does not answer, are told apart", async () => {
    expect(await codeOf(control("ZNONE12345", "dr").current())).to.equal("SETTING_INVALID");
    const url = process.env["AWS_ENDPOINT_URL"];
    const [port] = await closedPorts(1);
    process.env["AWS_ENDPOINT_URL"] = `http://127.0.0.1:${port}`;
    try {
      expect(await codeOf(control("ZNONE12345", "dr").current())).to.equal("UNREACHABLE");
    } finally {
      process.env["AWS_ENDPOINT_URL"] = url;
    }
  });
});
