import { randomBytes } from "node:crypto";

/** A readable, unique id: UTC time to the millisecond and 32 random bits. Never order by it: clocks differ. */
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
