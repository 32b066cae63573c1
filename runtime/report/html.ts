/** HTML that escapes by construction: whatever is put into a template is text, unless it came from a template itself. */

class Html {
  readonly markup: string;
  constructor(markup: string) {
    this.markup = markup;
  }
}

export type { Html };

type Value = string | number | Html | readonly Html[];

export function html(template: TemplateStringsArray, ...values: readonly Value[]): Html {
  return new Html(template.reduce((markup, piece, at) => `${markup}${toMarkup(values[at - 1] ?? "")}${piece}`));
}

function toMarkup(value: Value): string {
  if (value instanceof Html) return value.markup;
  if (typeof value === "string" || typeof value === "number") return escapeText(String(value));
  return value.map(({ markup }) => markup).join("\n");
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escapeText(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? character);
}
