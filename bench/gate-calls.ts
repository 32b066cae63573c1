/** Upserts of one batch of points, made once, as REST and as gRPC, and connections that send them again and again. */
import { once } from "node:events";
import { Agent, request } from "node:http";
import { type ClientHttp2Session, connect } from "node:http2";

export type Protocol = "rest" | "grpc";

export interface Batch {
  readonly rest: Buffer;
  readonly grpc: Buffer;
}

/** One client's connection to one server. */
export interface Caller {
  /** Returns when the write was acknowledged. */
  upsert(batch: Batch): Promise<void>;
  close(): void;
}

export function makeBatch(collection: string, firstId: number, points: number, dimensions: number): Batch {
  const vectors = Array.from({ length: points }, () => Float32Array.from({ length: dimensions }, () => Math.random()));
  const rest = { points: vectors.map((vector, at) => ({ id: firstId + at, vector: [...vector] })) };
  const message = Buffer.concat([
    field(1, Buffer.from(collection)),
    Buffer.from([2 << 3, 1]),
    ...vectors.map((vector, at) => field(3, pointOf(firstId + at, vector))),
  ]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return { rest: Buffer.from(JSON.stringify(rest)), grpc: Buffer.concat([prefix, message]) };
}

export function restCaller(url: string, apiKey: string, collection: string): Caller {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, timeout: 3_000 });
  const target = `${url}/collections/${collection}/points?wait=true`;
  return {
    async upsert({ rest }) {
      const headers = { "api-key": apiKey, "content-type": "application/json", "content-length": rest.length };
      const outbound = request(target, { method: "PUT", agent, headers });
      outbound.end(rest);
      const [answered] = await once(outbound, "response");
      answered.resume();
      await once(answered, "end");
      if (answered.statusCode !== 200) throw new Error(`an upsert was answered with ${answered.statusCode}`);
    },
    close: () => agent.destroy(),
  };
}

export function grpcCaller(url: string, apiKey: string): Caller {
  const session: ClientHttp2Session = connect(url);
  return {
    async upsert({ grpc }) {
      const stream = session.request({
        ":method": "POST",
        ":path": "/qdrant.Points/Upsert",
        "content-type": "application/grpc",
        te: "trailers",
        "api-key": apiKey,
      });
      let status: unknown = "missing";
      const note = (headers: Record<string, unknown>) => {
        status = headers["grpc-status"] ?? status;
      };
      stream.once("response", note);
      stream.once("trailers", note);
      stream.end(grpc);
      stream.resume();
      await once(stream, "end");
      if (status !== "0") throw new Error(`an upsert ended with the gRPC status ${status}`);
    },
    close: () => session.destroy(),
  };
}

/** PointStruct: its id, and its vector as packed floats. */
function pointOf(id: number, vector: Float32Array): Buffer {
  const data = Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
  return Buffer.concat([
    field(1, Buffer.concat([Buffer.from([1 << 3]), varint(id)])),
    field(4, field(1, field(1, data))),
  ]);
}

function field(number: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2]), varint(content.length), content]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) | 128);
  }
}
