import { DrError } from "../errors.ts";

const timeWithZone = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;

/** A time as a person writes it. Without a zone it would mean another time elsewhere: throws USAGE. */
export function parseZonedTime(text: string): Date {
  const time = new Date(text);
  if (timeWithZone.test(text) && !Number.isNaN(time.getTime())) return time;
  throw new DrError("USAGE", `${text} is not a time with its zone`, {
    hint: "write it like 2026-05-31T14:30:00Z or 2026-05-31T16:30:00+02:00",
  });
}
