/** Asks a region all that its readiness to take over is judged by. */
import { effectiveRole, newestEpoch } from "../../domain/estate/epoch.ts";
import type { Fact, NewestPoint, ReadinessFacts } from "../../domain/estate/readiness.ts";
import type { CatalogEntry } from "../../domain/points/catalog.ts";
import { isExact, keysOf, type RecoveryPoint } from "../../domain/points/recovery-point.ts";
import { controlLayout } from "../../domain/points/store-layout.ts";
import { DrError } from "../../errors.ts";
import type { Clock, ObjectStore } from "../../ports.ts";
import { readEpochs } from "../../repository/epochs.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { newestFinishedRestore } from "../../repository/restore-records.ts";
import { estimateRestore } from "../restore/estimate-restore.ts";
import { ask, type FoundPoint, type ObservedRegion, type Outcome, type Patience } from "./observed-region.ts";

export interface ReadinessRequest {
  readonly region: ObservedRegion;
  readonly objectives: ReadinessFacts["objectives"];
  readonly found: Outcome<FoundPoint>;
  /** The newest epoch that the other region knows, as far as it answered. */
  readonly otherEpoch: number | undefined;
  readonly backend: ReadinessFacts["backend"];
  /** Absent: nobody asked for it. */
  readonly preview?: () => Promise<{ readonly changes: Readonly<Record<string, number>> }>;
  readonly clock: Clock;
  readonly patience: Patience;
}

/** The engine starts, runs the program and asks every resource. */
const previewMs = 5 * 60_000;

export async function gatherReadiness(request: ReadinessRequest): Promise<ReadinessFacts> {
  const { backend, clock, objectives, otherEpoch, patience, preview, region } = request;
  const { answerMs } = patience;
  const { control } = region.stores;
  const quick = <T>(what: string, question: () => Promise<T>) => factOf(answerMs, what, question);
  const [role, server, machine, writable, traffic, practice, points, drift] = await Promise.all([
    quick("the control store", async () => {
      const epoch = newestEpoch(await readEpochs(control));
      if (epoch === undefined) throw new DrError("ROLE_UNKNOWN", "the control store holds no epoch");
      const told = otherEpoch === undefined ? {} : { otherEpoch };
      return { role: effectiveRole(region.region, epoch), epoch: epoch.epoch, ...told };
    }),
    quick("Qdrant", async () => {
      // The version is told to everyone; that the key is right, only this shows.
      await region.database.collections();
      return { version: await region.database.version() };
    }),
    quick("Qdrant", () => region.database.machine()),
    quick("the control store", () => writeAgain(control)),
    quick("the traffic control", async () => ({ leadsTo: (await region.traffic().current())?.region })),
    quick("the control store", async () => {
      const last = await newestFinishedRestore(control);
      if (last === undefined) return undefined;
      return { what: `restore of ${last.point}`, ageSeconds: secondsSince(last.at, clock) };
    }),
    gatherPoint(request),
    preview === undefined
      ? { notAsked: "ask with --drift" }
      : factOf(previewMs, "`pulumi preview`", async () => changesIn((await preview()).changes)),
  ]);
  const standby: ReadinessFacts["standby"] = { value: undefined };
  return { objectives, role, server, machine, writable, traffic, practice, backend, drift, standby, ...points };
}

async function gatherPoint({ clock, found, patience, region }: ReadinessRequest) {
  const { readingMs } = patience;
  if (!("value" in found)) return { point: found, keys: found, restore: found };
  const { listed, newest, repository, wanting } = found.value;
  const keys = await factOf(readingMs, "the control store", () => openKeys(repository, newest?.point));
  if (newest === undefined) {
    const none = { none: wanting === undefined ? "the bucket is empty" : `none of ${listed} is complete; ${wanting}` };
    return { point: { value: none }, keys, restore: { notAsked: "there is no point to look at" } };
  }
  const restore = await factOf(readingMs, "the repository", () => estimate(repository, newest.point));
  return { point: { value: described(newest, region.region, clock) }, keys, restore };
}

function described(
  { attestations, point }: CatalogEntry & { readonly point: RecoveryPoint },
  region: string,
  clock: Clock,
): NewestPoint {
  return {
    id: point.id,
    ageSeconds: secondsSince(point.time, clock),
    isExact: isExact(point),
    isVerified: attestations.some((finding) => finding.kind === "verified" && finding.region === region),
    qdrantVersion: point.qdrantVersion ?? "",
  };
}

/** How many keys the repository and the point need; throws when one of them does not open here. */
async function openKeys(repository: OpenRepository, point: RecoveryPoint | undefined): Promise<number> {
  const ids = [repository.description.key, ...(point === undefined ? [] : keysOf(point))];
  for (const id of ids) await repository.keys.key(id);
  return ids.length;
}

async function estimate(repository: OpenRepository, point: RecoveryPoint): Promise<{ bytes: number; seconds: number }> {
  const collections = point.collections.map((captured) => ({ captured, name: captured.name }));
  const { bytes, predictedSeconds } = await estimateRestore(repository, { collections, discard: [], aliases: [] });
  return { bytes, seconds: predictedSeconds };
}

/** Creates a record that is there already, with its own bytes: whoever may not write is refused, and nothing changes. */
async function writeAgain(control: ObjectStore): Promise<true> {
  const epoch = newestEpoch(await readEpochs(control));
  if (epoch === undefined) throw new DrError("ROLE_UNKNOWN", "the control store holds no epoch");
  const key = controlLayout.epoch(epoch.epoch);
  await control.create(key, await control.get(key));
  return true;
}

function changesIn(changes: Readonly<Record<string, number>>): string[] {
  return Object.entries(changes).flatMap(([operation, count]) => (count > 0 ? [`${operation} ${count}`] : []));
}

async function factOf<T>(ms: number, what: string, question: () => Promise<T>): Promise<Fact<T>> {
  const answer = await ask(ms, what, question);
  return "value" in answer ? answer : { problem: answer.problem };
}

function secondsSince(time: string, clock: Clock): number {
  return Math.max(0, (clock.now().getTime() - Date.parse(time)) / 1000);
}
