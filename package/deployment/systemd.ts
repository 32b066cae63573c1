/** Units of systemd: one that serves all schedules, or a timer and a service for each. */
import { onCalendar } from "./on-calendar.ts";
import { scheduledCommands } from "./scheduled-commands.ts";

const settings = "/etc/qdrant-dr/qdrant-dr.yaml";
const program = "/usr/local/bin/qdrant-dr";

/** What every unit runs as: a user of its own, with the settings readable and two folders writable. */
const confined = `User=qdrant-dr
Group=qdrant-dr
Environment=QDRANT_DR_SETTINGS=${settings}
# Secrets of the settings, as NAME=value lines; only root reads the file.
EnvironmentFile=-/etc/qdrant-dr/environment
WorkingDirectory=/var/lib/qdrant-dr
StateDirectory=qdrant-dr
StateDirectoryMode=0700
# A store that is a folder elsewhere: name it in a drop-in, ReadWritePaths=/mnt/backups.
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
LockPersonality=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
UMask=0077`;

const online = `After=network-online.target
Wants=network-online.target`;

/** By the name of the unit's file. */
export function systemdUnits(): ReadonlyMap<string, string> {
  return new Map([
    [
      "qdrant-dr.service",
      // A capture that is stopped cleans up.
      lastingUnit(`every schedule of ${settings}`, "serve", "TimeoutStopSec=120"),
    ],
    ["qdrant-dr-gate.service", lastingUnit("the gate in front of Qdrant, of a region with a peer", "gate")],
    ...scheduledCommands().flatMap(({ args, cron, name, title }) => [
      [`qdrant-dr-${name}.service`, runUnit(title, args)] as const,
      [`qdrant-dr-${name}.timer`, timerUnit(title, onCalendar(cron))] as const,
    ]),
  ]);
}

function lastingUnit(title: string, command: string, ...more: readonly string[]): string {
  return unit(
    `[Unit]
Description=qdrant-dr: ${title}
${online}`,
    [
      "[Service]",
      "Type=exec",
      `ExecStart=${program} ${command}`,
      "Restart=always",
      "RestartSec=5",
      ...more,
      confined,
    ].join("\n"),
    `[Install]
WantedBy=multi-user.target`,
  );
}

function runUnit(title: string, args: readonly string[]): string {
  return unit(
    `[Unit]
Description=qdrant-dr: ${title}
${online}`,
    `[Service]
Type=oneshot
ExecStart=${program} ${args.join(" ")}
${confined}`,
  );
}

function timerUnit(title: string, when: string): string {
  return unit(
    `[Unit]
Description=qdrant-dr: when for the ${title}`,
    `[Timer]
OnCalendar=${when}
# A machine that was off catches up.
Persistent=yes`,
    `[Install]
WantedBy=timers.target`,
  );
}

function unit(...sections: readonly string[]): string {
  const from = "# Made by `npm run docs` from package/deployment: change it by a drop-in (systemctl edit).";
  return `${[from, ...sections].join("\n\n").replace("\n\n", "\n")}\n`;
}
