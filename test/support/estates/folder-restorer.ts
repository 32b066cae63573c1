/**
 * Restores a folder into the place that is its first argument, and kills itself at the n-th step on the disk, when there
 * is a second argument. The content is the same each time.
 */
import { LocalFolders } from "../../../runtime/adapters/folders/folder-target.ts";
import type { EntryAttributes, FolderDraft } from "../../../runtime/ports/folders.ts";

const [place = "", killAt, keepAs] = process.argv.slice(2);
const time = new Date("2026-01-01T00:00:00.000Z");
const mine = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, modifiedAt: time };
const entries: EntryAttributes[] = [
  { path: ".", type: "directory", mode: 0o750, ...mine },
  { path: "a", type: "directory", mode: 0o755, ...mine },
  { path: "a/file", type: "file", mode: 0o640, ...mine },
  { path: "b", type: "file", mode: 0o600, ...mine },
  { path: "link", type: "symlink", mode: 0o777, ...mine },
];

let step = 0;
function mayDie(): void {
  step += 1;
  if (step === Number(killAt)) process.kill(process.pid, "SIGKILL");
}

async function* content(text: string) {
  mayDie();
  yield { offset: 0, bytes: Buffer.from(text) };
  mayDie();
}

async function fill(draft: FolderDraft): Promise<void> {
  mayDie();
  await draft.directory("a");
  mayDie();
  await draft.symlink("link", "a/file");
  await draft.file("a/file", 10, content("content"));
  await draft.file("b", 1, content("b"));
  mayDie();
}

const draft = await new LocalFolders().draft(place);
try {
  await fill(draft);
  const placed = await draft.place(entries, keepAs);
  console.log(JSON.stringify({ ...placed, steps: step }));
} catch (error) {
  await draft.discard();
  throw error;
}
