import { randomUUID } from "node:crypto";
import { type Command, InvalidArgumentError } from "commander";
import { z } from "zod";
import type { Deps, RegionOptions } from "../../composition/deps.ts";
import { formatBytes, formatCount, formatTime } from "../../domain/format.ts";
import { droppedObjects } from "../../domain/history/prune-records.ts";
import { usualRetention } from "../../domain/history/retention.ts";
import { followStream } from "../../workflows/prune/follow-stream.ts";
import { type PruneReport, previewPrune, pruneRepository } from "../../workflows/prune/prune-repository.ts";
import { StreamPruner } from "../../workflows/prune/prune-stream.ts";
import { recordedRun } from "../../workflows/recorded-run.ts";
import type { RegionSession } from "../../workflows/region-session.ts";
import { type CommandDefinition, exitCodesHelp, parseNames, regionOptions } from "../shared/command.ts";
import { bytes, count, listOf, recoveryPointId, time } from "../shared/fields.ts";

interface Options extends RegionOptions {
  readonly stack?: string;
  readonly plan?: true;
  readonly giveUp: readonly string[];
  readonly acceptFewer?: true;
  readonly stream?: true;
  readonly once?: true;
}

const dropped = z.strictObject({ id: recoveryPointId, reason: z.string().describe("why it is not kept") });

const answer = z.strictObject({
  region: z.string(),
  executed: z
    .strictObject({
      plan: count.describe("number of the plan"),
      recoveryPoints: count.describe("recovery points that were dropped"),
      objects: count.describe("objects that were deleted"),
      bytes: bytes.describe("what they took"),
      spared: count.describe("recovery points and objects of the plan that are needed again, or were gone"),
      locked: count.describe("objects that the store keeps, because they are locked"),
    })
    .optional()
    .describe("the plan that was executed now; absent when none was due"),
  planned: z
    .strictObject({
      plan: count.describe("number of the plan"),
      recoveryPoints: count.describe("recovery points that it drops"),
      objects: count.describe("objects that it drops"),
      bytes: bytes.describe("what they take"),
      dueAt: time.describe("it is executed by the first run after this"),
      waitsFor: z
        .string()
        .optional()
        .describe(
          "session of a capture or copy that began before the plan and has not ended: it is executed after that",
        ),
    })
    .optional()
    .describe("the plan that waits; absent when there is nothing to drop"),
  preview: z
    .strictObject({
      kept: listOf(z.strictObject({ id: recoveryPointId, reasons: listOf(z.string()).describe("why it is kept") })),
      dropped: listOf(dropped),
      objects: count.describe("objects that nothing would need then"),
      bytes: bytes.describe("what they take"),
      records: count.describe("old records of the control store that a run would delete"),
    })
    .optional()
    .describe("with --plan: what a plan that is made now would drop a day from now, when it may be executed"),
  records: z
    .strictObject({
      deleted: count.describe("records of the control store that were deleted: of runs, restores and schedules"),
      kept: count.describe("old ones that the store keeps, or lets nobody delete"),
    })
    .optional()
    .describe("old records; absent with --plan and --stream"),
  stream: z
    .strictObject({
      states: count.describe("states that the stream holds now"),
      deletedStates: count.describe("states that were deleted"),
      deletedObjects: count.describe("packs, trees and facts that were deleted"),
      deletedBytes: bytes.describe("what these took"),
    })
    .optional()
    .describe("with --stream: the last look at the stream; absent when none ended well"),
});
type PruneAnswer = z.infer<typeof answer>;

export const prune: CommandDefinition<Options, PruneAnswer> = {
  name: "prune",
  summary: "drop the recovery points that retention does not want, and delete what nothing needs then",
  answer,
  configure: (command: Command) =>
    regionOptions(command)
      .option("--stack <name>", "stack whose bucket is pruned; left out: the region of the settings file")
      .option(
        "--plan",
        "show what a plan that is made now would drop when it is executed, a day from now, and why; change nothing",
      )
      .option(
        "--give-up <ids>",
        "recovery points that cannot be restored, and that are dropped though nobody can read what they need",
        parseNames,
        [],
      )
      .option("--accept-fewer", "what is missing since the last run was taken away on purpose")
      .option(
        "--stream",
        "delete what the stream of replication held an hour ago, again and again until it is interrupted; the history is left alone",
      )
      .option("--once", "with --stream: look at it once")
      .addHelpText(
        "after",
        "\nA run executes the plan that was made a day ago or earlier, after it has counted anew what is needed, and then makes the next\nplan. Killed at any point, it is gone on with by the next run.",
      )
      .addHelpText(
        "after",
        exitCodesHelp(
          [5, "the bucket does not answer, or refuses to delete"],
          [10, "no repository is there"],
          [11, "another run prunes, or what is seen is no ground to delete anything"],
        ),
      ),
  async run(deps, options) {
    refuseContradictions(options);
    const session = await deps.access(options.stack, options);
    if (options.stream) return pruneStream(deps, session, options);
    if (options.plan) return showPlan(deps, session, options);
    return recordedRun({ ...deps, session, run: "prune" }, async () => {
      const context = await contextOf(deps, session, options);
      const prunable = deps.pruner(session.region.repository);
      const prunableControl = deps.pruner(session.region.control);
      const report = await pruneRepository({
        ...context,
        prunable,
        prunableControl,
        run: randomUUID(),
        runner: deps.runner,
      });
      const json = answerOf(session.region.region, report);
      return { json, text: textOf(json) };
    });
  },
};

function refuseContradictions({ acceptFewer, giveUp, once, plan, stream }: Options): void {
  if (once && !stream) throw new InvalidArgumentError("--once belongs to --stream: a prune of the history is one run.");
  if (stream && (plan || acceptFewer || giveUp.length > 0))
    throw new InvalidArgumentError("--stream takes --once alone: what is deleted of a stream follows no plan.");
}

async function pruneStream(deps: Deps, session: RegionSession, { once }: Options) {
  const { clock, progress } = deps;
  const { region, repository: address } = session.region;
  const request = { prunable: deps.pruner(address), clock, progress };
  const report = once
    ? await new StreamPruner({ ...request, repository: await session.repository() }).round()
    : await untilInterrupted(deps, (signal) => followStream({ ...request, open: () => session.repository() }, signal));
  const json: PruneAnswer = { region, ...(report === undefined ? {} : { stream: report }) };
  const text =
    report === undefined
      ? "Stopped before the stream was looked at"
      : `The stream of ${region} holds ${formatCount(report.states)} states; the last look deleted ${formatCount(report.deletedStates)} of them, and ${formatCount(report.deletedObjects)} objects (${formatBytes(report.deletedBytes)})`;
  return { json, text };
}

async function untilInterrupted<T>({ onInterrupt }: Deps, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stopping = new AbortController();
  const working = work(stopping.signal);
  const stop = async () => {
    stopping.abort();
    await working;
  };
  const settled = onInterrupt(stop, { isUsualEnd: true });
  try {
    return await working;
  } finally {
    settled();
  }
}

async function contextOf({ clock, progress }: Deps, session: RegionSession, { acceptFewer, giveUp }: Options) {
  return {
    repository: await session.repository(),
    retention: session.region.retention ?? usualRetention,
    giveUp,
    acceptsFewer: acceptFewer === true,
    clock,
    progress,
  };
}

async function showPlan(deps: Deps, session: RegionSession, options: Options) {
  const { region } = session.region;
  const preview = await previewPrune(await contextOf(deps, session, options));
  const { bytes: size, dropped: drops, kept, objects, records } = preview;
  const json: PruneAnswer = {
    region,
    preview: { kept: [...kept], dropped: [...drops], objects, bytes: size, records },
  };
  const lines = [
    ...kept.map(({ id, reasons }) => `keep  ${id}  ${reasons[0]}`),
    ...drops.map(({ id, reason }) => `drop  ${id}  ${reason}`),
    `${region} would keep ${formatCount(kept.length)} recovery points a day from now and drop ${formatCount(drops.length)}; nothing would need ${formatCount(objects)} objects then, ${formatBytes(size)}. Nothing was changed.`,
  ];
  return { json, text: lines.join("\n") };
}

function answerOf(region: string, { executed, open, records }: PruneReport): PruneAnswer {
  return {
    region,
    records,
    ...(executed === undefined
      ? {}
      : {
          executed: {
            plan: executed.number,
            ...executed.done.deleted,
            spared: executed.done.spared,
            locked: executed.done.locked,
          },
        }),
    ...(open === undefined
      ? {}
      : {
          planned: {
            plan: open.number,
            recoveryPoints: open.plan.dropped.recoveryPoints,
            objects: droppedObjects(open.plan),
            bytes: open.plan.dropped.bytes,
            dueAt: open.dueAt.toISOString(),
            ...(open.waitsFor === undefined ? {} : { waitsFor: open.waitsFor }),
          },
        }),
  };
}

function textOf({ executed, planned, records, region }: PruneAnswer): string {
  const lines: string[] = [];
  if (records !== undefined && records.deleted > 0) {
    lines.push(`${formatCount(records.deleted)} old records of the control store deleted`);
  }
  if (executed !== undefined) {
    const locked =
      executed.locked === 0 ? "" : `; ${formatCount(executed.locked)} are locked, and stay until that is over`;
    lines.push(
      `Plan ${executed.plan}: ${formatCount(executed.recoveryPoints)} recovery points dropped, ${formatCount(executed.objects)} objects deleted, ${formatBytes(executed.bytes)}${locked}`,
    );
  }
  if (planned !== undefined) {
    const waits =
      planned.waitsFor === undefined ? "" : `; it waits for the end of ${planned.waitsFor}, which began before it`;
    lines.push(
      `Plan ${planned.plan}: ${formatCount(planned.recoveryPoints)} recovery points and ${formatCount(planned.objects)} objects (${formatBytes(planned.bytes)}) will go, not before ${formatTime(planned.dueAt)}${waits}`,
    );
  }
  return lines.length === 0 ? `${region} holds nothing that retention does not want` : lines.join("\n");
}
