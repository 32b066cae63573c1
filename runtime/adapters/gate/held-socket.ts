/**
 * Connections to a server that may answer before it has read the whole request, and then close. Node gives a connection up at the
 * first write that fails, with the answer unread in the system's buffer: the error is held back here until the other side was read to its end.
 */
import { Agent, type AgentOptions, type ClientRequestArgs } from "node:http";
import { Agent as TlsAgent } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** Qdrant gives an idle connection up after 5 s: a request that is sent just then would be lost. */
const idleMs = 3_000;
/** For a system that tells neither data nor an end after a write that failed. */
const longestHoldMs = 5_000;

type WriteCallback = (error?: Error | null) => void;

/** Connections on which a write of the present request was taken by the system. */
const taken = new WeakSet<Duplex>();

/** Keeps connections to an upstream, in whichever way it is spoken to. */
export function agentOf({ isTls }: { readonly isTls: boolean }): Agent {
  const options: AgentOptions = { keepAlive: true, timeout: idleMs };
  const agent = isTls ? new TlsAgent(options) : new Agent(options);
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (given: ClientRequestArgs, callback) => {
    const socket = connect(given, callback);
    if (socket) holdWriteErrors(socket as Socket);
    return socket;
  };
  return agent;
}

/** A request begins on this connection. */
export function beginRequest(socket: Duplex): void {
  taken.delete(socket);
}

/** Whether anything of the present request may have left. */
export function hasSent(socket: Duplex): boolean {
  return taken.has(socket);
}

function holdWriteErrors(socket: Socket): void {
  const held = (callback: WriteCallback): WriteCallback => {
    return (error) => {
      if (!error) {
        taken.add(socket);
        callback();
        return;
      }
      let timer: NodeJS.Timeout | undefined;
      const release = () => {
        clearTimeout(timer);
        socket.off("end", release);
        socket.off("close", release);
        callback(error);
      };
      timer = setTimeout(release, longestHoldMs);
      socket.once("end", release);
      socket.once("close", release);
    };
  };
  const write = socket._write.bind(socket);
  const writeMany = socket._writev?.bind(socket);
  socket._write = (piece, encoding, callback) => write(piece, encoding, held(callback));
  if (writeMany !== undefined) socket._writev = (pieces, callback) => writeMany(pieces, held(callback));
}
