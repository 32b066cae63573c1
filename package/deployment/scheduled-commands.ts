/** What `serve` does by the clock, for those who have another clock: at the times that hold when the settings name none. */
import { kindTable, scheduledKinds } from "../../runtime/domain/schedule/scheduled-kinds.ts";
import { off, regionSettingsSchema } from "../../runtime/domain/settings/region-settings.ts";

export interface ScheduledCommand {
  readonly name: string;
  /** In the middle of a sentence. */
  readonly title: string;
  readonly args: readonly string[];
  /** In UTC. */
  readonly cron: string;
}

export function scheduledCommands(): ScheduledCommand[] {
  const { testRestore, ...schedules } = regionSettingsSchema.shape.schedules.parse({});
  const crons = { ...schedules, "test-restore": testRestore };
  return scheduledKinds.flatMap((name) => {
    const { args, title } = kindTable[name];
    return crons[name] === off ? [] : [{ name, title, args, cron: crons[name] }];
  });
}
