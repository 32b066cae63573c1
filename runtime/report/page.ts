import { type Html, html } from "./html.ts";
import { style } from "./style.ts";

export interface Page {
  readonly title: string;
  /** What it is about, above its headline. */
  readonly about: string;
  readonly headline: Html;
  readonly main: Html;
  readonly footer: Html;
}

/** One page that stands alone: no script, nothing from elsewhere, to be read, printed and filed. */
export function htmlPage({ about, footer, headline, main, title }: Page): string {
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
${style}
</head>
<body>
<header>
<p class="eyebrow">qdrant-dr, ${about}</p>
${headline}
</header>
<main>
${main}
</main>
<footer>${footer}</footer>
</body>
</html>
`;
  return page.markup;
}
