/** What `serve` does by the clock, for those who have another clock: at the times that hold when the settings name none. */
import { kindTable } from "../../runtime/domain/schedule/scheduled-kinds.ts";
import { schedulesOf } from "../../runtime/domain/schedule/schedules-of.ts";
import { regionSettingsSchema } from "../../runtime/domain/settings/region-settings.ts";

export interface ScheduledCommand {
  readonly name: string;
  /** In the middle of a sentence. */
  readonly title: string;
  readonly args: readonly string[];
  /** In UTC. */
  readonly cron: string;
}

export function scheduledCommands(): ScheduledCommand[] {
  const schedules = regionSettingsSchema.shape.schedules.parse({});
  return schedulesOf({ schedules }).map(({ cron, run }) => {
    const { args, title } = kindTable[run];
    return { name: run, title, args, cron };
  });
}
