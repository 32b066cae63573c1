"""What an application does, by the official Python client; prints what it saw. Arguments: rest or grpc, REST port, gRPC port, API key."""

import random
import sys
import warnings

from qdrant_client import QdrantClient, models

warnings.filterwarnings("ignore")
protocol, port, grpc_port, key = sys.argv[1:5]
client = QdrantClient(
    host="127.0.0.1",
    port=int(port),
    grpc_port=int(grpc_port),
    prefer_grpc=protocol == "grpc",
    https=False,
    api_key=key,
    timeout=120,
)
name = f"program-{protocol}"


def vector_of(id):
    # No two points are equally near.
    numbers = random.Random(id)
    return [numbers.uniform(-1, 1) for _ in range(64)]


def refused(call):
    try:
        call()
        return "taken"
    except Exception as error:
        code = getattr(error, "status_code", None) or error.code().name
        return f"refused: {code}"


client.delete_collection(name)
client.create_collection(
    name,
    vectors_config={"text": models.VectorParams(size=64, distance=models.Distance.COSINE)},
    sparse_vectors_config={"words": models.SparseVectorParams()},
)
points = [
    models.PointStruct(
        id=id,
        vector={
            "text": vector_of(id),
            "words": models.SparseVector(indices=[id % 50], values=[1.0]),
        },
        payload={"group": id % 3, "big": 2**60 + id},
    )
    for id in range(2000)
]
client.upload_points(name, points, batch_size=100, parallel=1, wait=True)
client.create_payload_index(name, "group", models.PayloadSchemaType.INTEGER, wait=True)
only = models.Filter(must=[models.FieldCondition(key="group", match=models.MatchValue(value=1))])
print(client.count(name, count_filter=only))
print([(p.id, round(p.score, 4)) for p in client.query_points(name, query=[1.0] * 64, using="text", limit=5).points])
print(client.set_payload(name, {"seen": True}, points=only, wait=True).status)
print(client.delete(name, models.FilterSelector(filter=only), wait=True).status)
seen, offset = [], None
while True:
    page, offset = client.scroll(name, limit=300, offset=offset, with_vectors=True)
    seen += page
    if offset is None:
        break
print(len(seen), sorted(seen[-1].payload.items()), seen[-1].vector["text"][:3])
print(client.count(name))
print(refused(lambda: client.upsert(name, [models.PointStruct(id=1, vector={"text": [1.0]})], wait=True)))
print(refused(lambda: client.upsert("none-such", points[:1])))
client.update_collection_aliases(
    [models.CreateAliasOperation(create_alias=models.CreateAlias(collection_name=name, alias_name=f"{name}-now"))]
)
print(client.get_collection_aliases(name))
print(client.get_collection(f"{name}-now").points_count)
client.delete_collection(name)
