/** `npm run docs`: writes the pages of docs/reference that are made from the code, and the files of deploy/. */
import { mkdirSync, writeFileSync } from "node:fs";
import { deploymentFiles } from "../package/deployment/files.ts";
import { references } from "./references.ts";

function write(folder: string, files: ReadonlyMap<string, string>): void {
  for (const [name, text] of files) {
    const file = new URL(`${folder}/${name}`, import.meta.url);
    mkdirSync(new URL(".", file), { recursive: true });
    writeFileSync(file, text);
  }
}

write("reference", references());
write("../deploy", deploymentFiles());
