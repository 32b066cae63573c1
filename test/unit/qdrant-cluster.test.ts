import { expect } from "chai";
import {
  activeReplicas,
  type ClusterView,
  movementsIn,
  strangersIn,
  unrestIn,
} from "../../runtime/adapters/qdrant/qdrant-cluster.ts";

type State = "Active" | "Dead" | "Partial" | "Resharding";

/** What `peer` says, given where it believes every replica to be: shard/peer -> state. */
function view(peer: number, replicas: Record<string, State>, rest: Partial<ClusterView> = {}): ClusterView {
  const all = Object.entries(replicas).map(([place, state]) => {
    const [shard_id = 0, peer_id = 0] = place.split("/").map(Number);
    return { shard_id, peer_id, state };
  });
  return {
    peer_id: peer,
    peerUrl: `http://peer-${peer}`,
    local_shards: all.filter(({ peer_id }) => peer_id === peer),
    remote_shards: all.filter(({ peer_id }) => peer_id !== peer),
    shard_transfers: [],
    resharding_operations: null,
    ...rest,
  };
}

/** What a server says of the cluster that it is in: its own id and those of all that it knows, itself too. */
const member = (peer_id: number, ...known: number[]) => ({
  peer_id,
  peerUrl: `http://peer-${peer_id}`,
  peers: Object.fromEntries([peer_id, ...known].map((id) => [id, {}])),
});
const alone = (peerUrl: string) => ({ peerUrl, peers: {} });

const places = ({ active }: ReturnType<typeof activeReplicas>) => active.map(({ id, peer }) => `${id}/${peer}`);

describe("servers that are named as the peers of one Qdrant", () => {
  it("are, when they know each other, or the one that has just joined knows the other", () => {
    expect(strangersIn([member(1, 2, 3), member(2, 1, 3), member(3, 1, 2)])).to.equal(undefined);
    expect(strangersIn([member(1), member(2, 1)])).to.equal(undefined);
    expect(strangersIn([alone("http://a")])).to.equal(undefined);
    expect(strangersIn([])).to.equal(undefined);
  });

  const apart = [
    { what: "two clusters", servers: [member(1, 3), member(2, 4)] },
    { what: "two servers outside cluster mode", servers: [alone("http://a"), alone("http://b")] },
    { what: "a cluster and a server outside", servers: [member(1, 2), member(2, 1), alone("http://a")] },
  ];
  for (const { servers, what } of apart) {
    it(`are not, when they are ${what}: two are named`, () => {
      expect(strangersIn(servers)).to.deep.equal([servers[0], servers.at(-1)]);
    });
  }
});

describe("what the peers of a cluster say, put together", () => {
  const whole = { "0/1": "Active", "0/2": "Active", "1/2": "Active", "1/3": "Active" } as const;

  it("has every Active replica, by shard, then by peer, with the URL of its peer and its shard key", () => {
    const local_shards = [{ shard_id: 0, shard_key: "tenant", state: "Active" }];
    const views = [view(3, whole), view(2, whole), view(1, whole, { local_shards })];

    expect(places(activeReplicas(views))).to.deep.equal(["0/1", "0/2", "1/2", "1/3"]);
    expect(activeReplicas(views).active[0]).to.include({ key: "tenant", peerUrl: "http://peer-1" });
  });

  it("leaves out a peer that did not answer, and names a shard that only it holds", () => {
    expect(activeReplicas([view(1, whole), view(3, whole)])).to.deep.include({ lacking: [] });
    expect(places(activeReplicas([view(1, whole), view(3, whole)]))).to.deep.equal(["0/1", "1/3"]);
    expect(activeReplicas([view(1, whole)]).lacking).to.deep.equal([1]);
  });

  it("does not trust a peer that takes its own replica for Active when another knows it to be dead", () => {
    const views = [view(1, whole), view(2, { ...whole, "0/1": "Dead" })];

    expect(places(activeReplicas(views))).to.deep.equal(["0/2", "1/2"]);
  });

  it("tells transfers and resharding under way once, in words", () => {
    const transfer = { shard_id: 1, to_shard_id: null, from: 2, to: 3 };
    const moving = { shard_transfers: [transfer], resharding_operations: null };
    const resharding = { resharding_operations: [{ direction: "up", shard_id: 2, peer_id: 1 }] };

    expect(movementsIn([view(1, whole), view(2, whole)])).to.deep.equal([]);
    expect(movementsIn([view(1, whole, moving), view(2, whole, moving)])).to.deep.equal([
      "shard 1 is transferred from peer 2 to peer 3",
    ]);
    expect(movementsIn([view(1, { ...whole, "2/1": "Resharding" }, resharding)])).to.deep.equal([
      "shard 2 on peer 1 is in the middle of resharding",
      "the collection is resharded: shard 2 is being added",
    ]);
  });

  it("is at rest when every replica is Active and nothing moves", () => {
    const moving = { shard_transfers: [{ shard_id: 1, from: 2, to: 3 }] };

    expect(unrestIn([view(1, whole)])).to.equal(undefined);
    expect(unrestIn([view(1, whole), view(2, { ...whole, "1/3": "Partial" })])).to.equal("Partial");
    expect(unrestIn([view(1, whole, moving)])).to.equal("transferring");
  });
});
