/** PromQL over the metrics of one region. */
import type { MetricName, metrics } from "./metrics.ts";

type Matchers<Name extends MetricName> = Partial<Record<(typeof metrics)[Name]["labels"][number], string>>;

/** `name{label="value"}`; a value that begins with ~ is a regular expression. */
export function series<Name extends MetricName>(name: Name, matchers: Matchers<Name>): string {
  const all = Object.entries(matchers as Record<string, string>).map(([label, value]) =>
    value.startsWith("~") ? `${label}=~"${value.slice(1)}"` : `${label}="${value}"`,
  );
  return `${name}{${all.join(",")}}`;
}
