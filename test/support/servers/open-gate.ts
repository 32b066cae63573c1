/** A gate of an active region that is alone, in front of one Qdrant: what clients and measurements go through. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { FileStore } from "../../../runtime/adapters/stores/file-store.ts";
import type { StoreAddress } from "../../../runtime/domain/region.ts";
import { claimEpoch } from "../../../runtime/repository/control/epochs.ts";
import { signed } from "../estates/test-trust.ts";
import { FrontProcess } from "./front-process.ts";
import type { QdrantServer } from "./qdrant-server.ts";

/**
 * @param folder for its control store and its state.
 * @param environment more of the gate's own.
 */
export async function startOpenGate(
  folder: string,
  server: QdrantServer,
  environment: Readonly<Record<string, string>> = {},
): Promise<FrontProcess> {
  const control: StoreAddress = { kind: "file", folder: join(folder, "control") };
  mkdirSync(control.folder);
  const at = new Date().toISOString();
  const epoch = { epoch: 1, active: "east", reason: "initial", run: "r", at } as const;
  await claimEpoch(signed(new FileStore(control.folder), "east", "control"), epoch);
  return FrontProcess.gate(join(folder, "gate"), "east", server, control, undefined, environment);
}
