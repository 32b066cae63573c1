import { randomBytes } from "node:crypto";

/**
 * Makes a readable, unique id: UTC time to the millisecond and 32 random bits. Ids of one machine are in the order in which they
 * were made; those of several machines are out of order by as much as their clocks differ. Code orders by ids only where that
 * decides nothing that a wrong clock could spoil: recovery points, whose `startedAt` is the same clock's time and counts only
 * while its region was active; a capture's base, which any older one can be; the states of a standby, of which the newest is
 * compared with the server before anything is built on it.
 */
export function newId(now: Date): string {
  return `${now.toISOString().replaceAll(/[-:.]/g, "")}-${randomBytes(4).toString("hex")}`;
}

/** When it was made, by the clock of whoever made it; undefined for what is no such id. */
export function timeOfId(id: string): Date | undefined {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z-[0-9a-f]{8}$/.exec(id);
  if (parts === null) return undefined;
  const [, year, month, day, hours, minutes, seconds, ms] = parts;
  const at = new Date(`${year}-${month}-${day}T${hours}:${minutes}:${seconds}.${ms}Z`);
  return Number.isNaN(at.getTime()) ? undefined : at;
}
