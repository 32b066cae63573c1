/** Proves that what a region's outputs leave out is missed by its name, where it is needed, before any server is asked. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { expect } from "chai";
import { RegionAccess } from "../../runtime/composition/region-access.ts";
import { type Region, regionSchema } from "../../runtime/domain/region.ts";
import { ownRegionFor, peerRegionFor } from "../../runtime/domain/region-for-job.ts";
import { regionForPeer } from "../../runtime/domain/region-for-peer.ts";
import { regionNamed } from "../support/estates/fake-region.ts";
import { signing } from "../support/estates/test-trust.ts";
import { errorOf } from "../support/expect-code.ts";

describe("a secret that a job is not told", () => {
  let asked = 0;
  const server = createServer((_, outgoing) => {
    asked += 1;
    outgoing.end("{}");
  });
  let region: Region;
  let identity: string;
  const ownKeys = { store: undefined, qdrant: undefined };

  before(async () => {
    await once(server.listen(0, "127.0.0.1"), "listening");
    identity = await generateX25519Identity();
    const recipients = [await identityToRecipient(identity), await identityToRecipient(await generateX25519Identity())];
    region = {
      ...regionNamed("east"),
      qdrant: { peers: [`http://127.0.0.1:${(server.address() as AddressInfo).port}`], apiKey: "the-key" },
      keys: { recipients, identity },
    };
  });
  after(async () => {
    server.closeAllConnections();
    await once(server.close(), "close");
  });

  it("Qdrant's API key: whatever is asked is refused, and the server hears nothing", async () => {
    const { database } = new RegionAccess(readBack(ownRegionFor("verify", region, { signing })));
    const questions = [
      database.collections(),
      database.version(),
      database.deleteCollection("notes"),
      database.layout("notes"),
    ];
    for (const question of questions) {
      const error = await errorOf(question);
      expect(error?.code).to.equal("SETTING_INVALID");
      expect(error?.message).to.contain("the API key of the Qdrant at http://127.0.0.1:").and.contain("qdrant.apiKey");
      expect(error?.hint).to.contain("outputs");
    }
    expect(asked).to.equal(0);
    const told = new RegionAccess(readBack(ownRegionFor("capture", region, { signing })));
    expect((await errorOf(told.database.collections()))?.code).to.equal("UNREACHABLE");
    expect(asked, "with the key it is asked").to.be.greaterThan(0);
  });

  it("the age identity: data keys are wrapped without it and not opened; the offline one opens them", async () => {
    const toldOf = readBack(peerRegionFor("replicate", regionForPeer(region, ownKeys), region, { signing }) ?? region);
    const wrapped = await new RegionAccess(toldOf).wrap.wrap("a data key");
    const error = await errorOf(new RegionAccess(toldOf).wrap.unwrap(wrapped));
    expect(error?.code).to.equal("KEY_UNAVAILABLE");
    expect(error?.message).to.contain("no age identity is known here");
    expect(await new RegionAccess(toldOf, { identity }).wrap.unwrap(wrapped)).to.equal("a data key");
  });

  it("is left out of outputs, and never empty in them", () => {
    const { keys, qdrant } = readBack(ownRegionFor("replicate-folders", region, { signing }));
    expect(qdrant).to.not.have.property("apiKey");
    expect(keys).to.not.have.property("identity");
    for (const empty of [
      { ...region, qdrant: { ...region.qdrant, apiKey: "" } },
      { ...region, keys: { ...region.keys, identity: "" } },
    ])
      expect(regionSchema.safeParse(empty).success).to.equal(false);
  });
});

/** As a pod reads it. */
function readBack(region: Region): Region {
  return regionSchema.parse(JSON.parse(JSON.stringify(region)));
}
