import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:net";

/** Below what Linux and macOS give to outgoing connections: those could take a port before its server binds it. */
const [lowest, end] = [15_000, 32_000];

/** Ports of 127.0.0.1 that nobody listens on. All are held at once, so that they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const holders: Server[] = [];
  const ports: number[] = [];
  while (ports.length < count) {
    const port = randomInt(lowest, end);
    const holder = createServer();
    if (await listens(holder, port)) {
      holders.push(holder);
      ports.push(port);
    }
  }
  for (const holder of holders) await once(holder.close(), "close");
  return ports;
}

async function listens(holder: Server, port: number): Promise<boolean> {
  try {
    await once(holder.listen(port, "127.0.0.1"), "listening");
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") return false;
    throw error;
  }
}
