import { Cluster } from "../support/cluster/cluster.ts";
import { productImage, qdrantImage } from "../support/cluster/images.ts";

describe("cluster", () => {
  let cluster: Cluster | undefined;
  after(() => cluster?.stop());
  it("comes up", async () => {
    const images = [await productImage(), qdrantImage()];
    console.log(images);
    const started = performance.now();
    cluster = await Cluster.start({ addresses: [], images, balancers: {} }, (step) =>
      console.log(step, performance.now() - started),
    );
    console.log("ready", performance.now() - started);
  });
});
