import { randomBytes } from "node:crypto";

/** A readable, unique id: UTC time to the millisecond and 32 random bits. Never order by it: clocks differ. */
export function newId(now: Date): string {
  return `${now.toISOString().replaceAll(/[-:.]/g, "")}-${randomBytes(4).toString("hex")}`;
}
