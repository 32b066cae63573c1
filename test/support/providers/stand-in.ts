/**
 * The engine's side of a provider stand-in: Pulumi's provider protocol over gRPC, for a provider of a few methods. The
 * provider base of Pulumi's SDK would hide the provider's configuration and previews, which the stand-ins need.
 */
import { isDeepStrictEqual } from "node:util";
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from "@grpc/grpc-js";
import plugin from "@pulumi/pulumi/proto/plugin_pb.js";
import services from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import provider from "@pulumi/pulumi/proto/provider_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import struct from "google-protobuf/google/protobuf/struct_pb.js";

export type Properties = Readonly<Record<string, unknown>>;

export interface Created {
  readonly id: string;
  readonly outputs: Properties;
}

/** Types are the resources' tokens, "kubernetes:core/v1:Namespace". Secrets come plain; the engine keeps them secret. */
export interface StandIn {
  configure?(settings: Readonly<Record<string, string>>): Promise<void>;
  /** Inputs with what the provider fills in by itself; throws when they are wrong. */
  check?(type: string, news: Properties, olds: Properties): Promise<Properties>;
  /** Paths, "metadata.name", of which a change makes a new resource. */
  replacing(type: string, inputs: Properties): readonly string[];
  /** A rehearsal changes nothing. */
  create(type: string, inputs: Properties, isRehearsal: boolean): Promise<Created>;
  /** Undefined: it does not exist any more. */
  read(type: string, id: string, state: Properties): Promise<Properties | undefined>;
  update(type: string, id: string, change: Change, isRehearsal: boolean): Promise<Properties>;
  delete(type: string, id: string, state: Properties): Promise<void>;
  invoke?(token: string, args: Properties): Promise<Properties>;
}

export interface Change {
  readonly olds: Properties;
  readonly news: Properties;
  readonly state: Properties;
}

/** Stands for a value that a preview cannot know (pulumi sdk/go/common/resource/plugin/rpc.go). */
const unknownValue = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

export async function serveStandIn(standIn: StandIn): Promise<void> {
  const server = new Server({ "grpc.max_receive_message_length": -1 });
  // biome-ignore lint/suspicious/noExplicitAny: the generated service has the wrong type for this server
  server.addService(services.ResourceProviderService as any, methodsOf(standIn));
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = ServerCredentials.createInsecure();
    server.bindAsync("127.0.0.1:0", credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  // The engine reads the port from here.
  process.stdout.write(`${port}\n`);
}

function methodsOf(standIn: StandIn) {
  return {
    getPluginInfo: answering(async () => new plugin.PluginInfo().setVersion(process.env["STAND_IN_VERSION"] ?? "")),
    attach: answering(async () => new empty.Empty()),
    cancel: answering(async () => new empty.Empty()),
    getSchema: answering(async () => new provider.GetSchemaResponse().setSchema("{}")),
    checkConfig: answering(async (request: provider.CheckRequest) =>
      new provider.CheckResponse().setInputs(request.getNews()),
    ),
    diffConfig: answering(async (request: provider.DiffRequest) => {
      const [olds, news] = [plain(request.getOldInputs() ?? request.getOlds()), plain(request.getNews())];
      return diffOf(olds, news, []);
    }),
    configure: answering(async (request: provider.ConfigureRequest) => {
      const given = Object.entries(plain(request.getArgs())).map(([name, value]) => [name, String(value)]);
      await standIn.configure?.(Object.fromEntries(given));
      return new provider.ConfigureResponse().setSupportspreview(true).setAcceptsecrets(false);
    }),
    check: answering(async (request: provider.CheckRequest) => {
      const [olds, news] = [plain(request.getOlds()), plain(request.getNews())];
      if (isUnknown(news)) return new provider.CheckResponse().setInputs(request.getNews());
      try {
        const inputs = (await standIn.check?.(request.getType(), news, olds)) ?? news;
        return new provider.CheckResponse().setInputs(packed(inputs));
      } catch (error) {
        const failure = new provider.CheckFailure().setReason(messageOf(error));
        return new provider.CheckResponse().setInputs(request.getNews()).setFailuresList([failure]);
      }
    }),
    diff: answering(async (request: provider.DiffRequest) => {
      const news = plain(request.getNews());
      return diffOf(plain(request.getOldInputs()), news, standIn.replacing(request.getType(), news));
    }),
    create: answering(async (request: provider.CreateRequest) => {
      const inputs = plain(request.getProperties());
      if (request.getPreview() && isUnknown(inputs)) return new provider.CreateResponse().setProperties(packed(inputs));
      const { id, outputs } = await standIn.create(request.getType(), inputs, request.getPreview());
      return new provider.CreateResponse().setId(request.getPreview() ? "" : id).setProperties(packed(outputs));
    }),
    read: answering(async (request: provider.ReadRequest) => {
      const state = plain(request.getProperties());
      const outputs = await standIn.read(request.getType(), request.getId(), state);
      if (outputs === undefined) return new provider.ReadResponse();
      return new provider.ReadResponse()
        .setId(request.getId())
        .setProperties(packed(outputs))
        .setInputs(request.getInputs());
    }),
    update: answering(async (request: provider.UpdateRequest) => {
      const news = plain(request.getNews());
      if (request.getPreview() && isUnknown(news)) return new provider.UpdateResponse().setProperties(packed(news));
      const change = { olds: plain(request.getOldInputs()), news, state: plain(request.getOlds()) };
      const outputs = await standIn.update(request.getType(), request.getId(), change, request.getPreview());
      return new provider.UpdateResponse().setProperties(packed(outputs));
    }),
    delete: answering(async (request: provider.DeleteRequest) => {
      await standIn.delete(request.getType(), request.getId(), plain(request.getProperties()));
      return new empty.Empty();
    }),
    invoke: answering(async (request: provider.InvokeRequest) => {
      if (standIn.invoke === undefined) throw new Error(`the stand-in does not answer ${request.getTok()}`);
      const answer = await standIn.invoke(request.getTok(), plain(request.getArgs()));
      return new provider.InvokeResponse().setReturn(packed(answer));
    }),
  };
}

/** What differs, by path, as `pulumi up --diff` shows it. */
function diffOf(olds: Properties, news: Properties, replacing: readonly string[]): provider.DiffResponse {
  const changed = differences(olds, news);
  const replaces = changed.filter((path) => replacing.some((each) => path === each || path.startsWith(`${each}.`)));
  const { DIFF_NONE, DIFF_SOME } = provider.DiffResponse.DiffChanges;
  const response = new provider.DiffResponse()
    .setChanges(changed.length === 0 ? DIFF_NONE : DIFF_SOME)
    .setDiffsList([...new Set(changed.map((path) => path.split(".")[0] ?? path))])
    .setReplacesList(replaces)
    // Names are fixed: the old one has to go before the new one comes.
    .setDeletebeforereplace(true)
    .setHasdetaileddiff(true);
  for (const path of changed) {
    const { UPDATE, UPDATE_REPLACE } = provider.PropertyDiff.Kind;
    const kind = replaces.includes(path) ? UPDATE_REPLACE : UPDATE;
    response.getDetaileddiffMap().set(path, new provider.PropertyDiff().setKind(kind).setInputdiff(true));
  }
  return response;
}

function differences(old: unknown, now: unknown, prefix = ""): string[] {
  if (isDeepStrictEqual(old, now)) return [];
  if (!isRecord(old) || !isRecord(now)) return [prefix];
  const names = [...new Set([...Object.keys(old), ...Object.keys(now)])].sort();
  return names.flatMap((name) => differences(old[name], now[name], prefix === "" ? name : `${prefix}.${name}`));
}

function answering<Request, Response>(act: (request: Request) => Promise<Response>) {
  return (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>) => {
    act(call.request).then(
      (response) => callback(null, response),
      (error: unknown) => callback({ code: status.UNKNOWN, details: messageOf(error) }),
    );
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function plain(properties: struct.Struct | undefined): Properties {
  return properties?.toJavaScript() ?? {};
}

function packed(properties: Properties): struct.Struct {
  // What is undefined has no place in a message.
  return struct.Struct.fromJavaScript(JSON.parse(JSON.stringify(properties)));
}

function isUnknown(properties: Properties): boolean {
  return JSON.stringify(properties).includes(unknownValue);
}

export function isRecord(value: unknown): value is Properties {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
