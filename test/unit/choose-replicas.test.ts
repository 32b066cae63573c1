import { expect } from "chai";
import { chooseReplicas } from "../../runtime/domain/qdrant/choose-replicas.ts";

const replica = (id: number, peer: number) => ({ id, peer });

describe("the replica of a shard that is read", () => {
  it("is the one that was read last time", () => {
    const replicas = [replica(0, 1), replica(0, 2), replica(1, 2), replica(1, 3)];

    expect(chooseReplicas(replicas, [replica(0, 2), replica(1, 3)])).to.deep.equal([replica(0, 2), replica(1, 3)]);
  });

  it("is the first when none was read before, or the one that was is gone", () => {
    const replicas = [replica(0, 1), replica(0, 2)];

    expect(chooseReplicas(replicas)).to.deep.equal([replica(0, 1)]);
    expect(chooseReplicas(replicas, [replica(0, 9), replica(1, 2)])).to.deep.equal([replica(0, 1)]);
  });

  it("is one for each shard, in the order of their ids", () => {
    const replicas = [replica(2, 1), replica(0, 1), replica(2, 3), replica(1, 1)];

    expect(chooseReplicas(replicas, [replica(2, 3)])).to.deep.equal([replica(0, 1), replica(1, 1), replica(2, 3)]);
    expect(chooseReplicas([])).to.deep.equal([]);
  });
});
