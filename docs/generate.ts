/** `npm run docs`: writes the pages of docs/reference that are made from the code. */
import { writeFileSync } from "node:fs";
import { references } from "./references.ts";

for (const [name, text] of references()) writeFileSync(new URL(`reference/${name}`, import.meta.url), text);
