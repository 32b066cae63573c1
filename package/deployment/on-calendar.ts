/** Cron expressions as systemd's timers say them. */

const days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/** Of numbers, lists, ranges, steps and stars, in UTC; the day of the month and the day of the week are not both set. */
export function onCalendar(cron: string): string {
  const [minute = "", hour = "", day = "", month = "", weekday = ""] = cron.split(" ");
  if (day !== "*" && weekday !== "*") throw new Error(`${cron}: cron means either day, systemd both`);
  const week =
    weekday === "*"
      ? ""
      : `${weekday
          .split(",")
          .map((each) => days[Number(each) % 7])
          .join(",")} `;
  return `${week}*-${part(month, 1)}-${part(day, 1)} ${part(hour, 0)}:${part(minute, 0)}:00 UTC`;
}

/** A star with a step is a number with one there: every fourth from the first one on. */
function part(field: string, first: 0 | 1): string {
  if (field === "*") return "*";
  return field
    .split(",")
    .map((each) => {
      const [range = "", step] = each.split("/");
      const from = range === "*" ? `0${first}` : range.replace("-", "..").padStart(2, "0");
      return step === undefined ? from : `${from}/${step}`;
    })
    .join(",");
}
