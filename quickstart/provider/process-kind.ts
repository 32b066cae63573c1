/** `embedded:index:Process`: a program that runs until it is removed, and is started again when it is found dead. */
import { rm } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { findProcess, startServer, stopProcess } from "../adapters/local-process.ts";
import { checkInputs } from "./checked-inputs.ts";
import type { ResourceKind } from "./resource-kind.ts";

const processSchema = z.object({
  estate: z.string().min(1),
  name: z.string().min(1),
  command: z.string().min(1),
  args: z.array(z.string()),
  env: z.record(z.string(), z.string()),
  folder: z.string().startsWith("/"),
  ports: z.array(z.number().int().min(1).max(65_535)),
  readyUrls: z.array(z.url()).min(1),
  /** Files outside `folder` that the program leaves behind. */
  leftovers: z.array(z.string().startsWith("/")),
});

export const processKind: ResourceKind = {
  check: (inputs) => checkInputs(processSchema, inputs),
  async diff(olds, news) {
    // Another name or estate is another process: the old one is ended by the replacement.
    const replaces = ["estate", "name"].filter((property) => olds[property] !== news[property]);
    const changed = Object.keys(news).some((property) => !isDeepStrictEqual(olds[property], news[property]));
    return { changes: changed || olds["isRunning"] !== true, replaces, deleteBeforeReplace: true };
  },
  async apply(inputs) {
    const spec = processSchema.parse(inputs);
    const { pid } = await startServer(spec);
    return { id: `${spec.estate}/${spec.name}`, facts: { pid, isRunning: true } };
  },
  async read(properties) {
    const running = await findProcess(processSchema.parse(properties));
    // A dead process is still declared, with its ports: `up` starts it again in place.
    return { pid: running?.pid ?? 0, isRunning: running !== undefined };
  },
  /** Data stays: what a region held may be the only copy. */
  async remove(properties) {
    const spec = processSchema.parse(properties);
    await stopProcess(spec);
    for (const path of spec.leftovers) await rm(path, { force: true });
  },
};
