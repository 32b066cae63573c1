/**
 * The life of the stacks in the cloud by the real engine. The providers are stand-ins (test/support/providers), AWS is an
 * emulator and the clusters have no controllers: what is proven is what the programs ask for and when, and nothing of AWS,
 * of the real providers, or of what runs afterwards.
 */
import { HeadBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { expect } from "chai";
import { S3Store, s3ClientSettings } from "../../runtime/adapters/stores/s3-store.ts";
import type { DrError } from "../../runtime/errors.ts";
import { claimEpoch } from "../../runtime/repository/epochs.ts";
import { CloudEstate, type RegionName, regionNames, up } from "../support/cloud-estate.ts";

// biome-ignore lint/suspicious/noExplicitAny: objects of a dozen kinds and outputs of stacks, looked into by path
type Loose = any;

describe("stacks in the cloud", function () {
  this.timeout(300_000);
  let estate: CloudEstate;
  /** By region, what the bootstrap program tells of it. */
  let foundation: Record<RegionName, Loose>;

  before("bootstrap, and the first epoch", async () => {
    estate = await CloudEstate.start();
    await up(estate.bootstrap, "estate");
    foundation = (await estate.bootstrapOutput("regions")) as typeof foundation;
    await activate("prod", 1);
    for (const region of regionNames) await estate.init(region, { stores: foundation[region].stores });
  });
  after(() => estate?.stop());

  it("bootstrap once more changes nothing", async () => {
    const { changes, events } = await up(estate.bootstrap, "estate");
    expect(Object.keys(changes)).to.deep.equal(["same"]);
    expect(events).to.deep.equal([]);
  });

  it("an `up` that may not make everything, then one that is killed: the next one completes what they began", async () => {
    const made = await grantAllBut("cronjobs");
    const refused = await failure(up(estate.stacks, "dr"));
    expect(refused).to.include({ code: "PULUMI_FAILED", exitCode: 20 });
    expect(refused.message).to.match(/cronjobs.* is forbidden/);
    estate.actAs("admin");

    let killed: Promise<void> | undefined;
    await failure(
      up(estate.stacks, "dr", (text) => {
        if (text.startsWith("create dr-schedules-")) killed ??= estate.killUpdates();
      }),
    );
    expect(killed).to.be.instanceOf(Promise);
    await killed;
    const before = await objectsOf("dr");

    const completed = await up(estate.stacks, "dr");
    expect(Object.keys(completed.changes).sort()).to.deep.equal(["create", "same"]);
    const after = await objectsOf("dr");
    for (const [title, { uid }] of before) expect(after.get(title)?.uid, title).to.equal(uid);
    expect((await up(estate.stacks, "dr")).events).to.deep.equal([]);
  });
});
