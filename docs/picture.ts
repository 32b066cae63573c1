/** `npm run docs:picture`: runs the practice, and takes a picture of its report page with a real browser (Debian's `chromium`). */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const launcher = fileURLToPath(new URL("../bin/qdrant-dr", import.meta.url));
const picture = fileURLToPath(new URL("images/report.png", import.meta.url));
/** The head of the page: what was lost, how long it took, and the steps. */
const size = { width: 1120, height: 1060 };

const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-picture-"));
try {
  const report = join(folder, "report.html");
  execFileSync(launcher, ["quickstart", "--report", report], { stdio: "inherit" });
  const browser = [
    "--headless",
    "--hide-scrollbars",
    `--user-data-dir=${join(folder, "browser")}`,
    `--window-size=${size.width},${size.height}`,
    // Its sandbox refuses to run as root; the page is our own.
    ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
  ];
  execFileSync("chromium", [...browser, `--screenshot=${picture}`, `file://${report}`], { stdio: "ignore" });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
