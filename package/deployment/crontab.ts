import { scheduledCommands } from "./scheduled-commands.ts";

/** For a machine without systemd. */
export function crontab(): string {
  const lines = scheduledCommands().flatMap(({ args, cron, title }) => [
    `# ${title}`,
    `${cron} qdrant-dr ${args.join(" ")}`,
  ]);
  return `# Made by \`npm run docs\` from package/deployment. Install it as the user that runs qdrant-dr: \`crontab crontab\`.
# The times are meant in UTC. A cron that knows CRON_TZ (cronie) takes them so; any other takes the machine's time zone.
CRON_TZ=UTC
PATH=/usr/local/bin:/usr/bin:/bin
QDRANT_DR_SETTINGS=/etc/qdrant-dr/qdrant-dr.yaml
# Output goes to this address: every run says how it ended.
MAILTO=root

${lines.join("\n")}
`;
}
