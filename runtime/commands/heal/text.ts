import type { HealAnswer } from "./answer.ts";

export function healedInWords({ healed, quarantined, released, unhealed }: HealAnswer): string[] {
  if (healed.length + unhealed.length + released.length === 0) return ["nothing is damaged"];
  return [
    ...healed.map(({ key, place }) => (key === place ? `healed: ${key}` : `healed: ${key}, at ${place}`)),
    ...unhealed.map(({ because, key }) => `not healed: ${key}: ${because}`),
    ...released.map((id) => `${id} is whole again`),
    ...quarantined.map((id) => `${id} is quarantined`),
  ];
}
