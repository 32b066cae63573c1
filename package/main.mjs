/** Where the installed command begins: on a Node that is too old the program itself could not even be read. */
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

if (major > 22 || (major === 22 && minor >= 18)) {
  silenceExperimentalWarnings();
  // Bundled beside it.
  await import(new URL("qdrant-dr.mjs", import.meta.url).href);
} else {
  process.stderr.write(`error: qdrant-dr needs Node 22.18 or newer, and this is ${process.version}\n`);
  process.stderr.write("hint: install a newer Node and put it first on PATH\n");
  process.exitCode = 4;
}

/** That Node calls its SQLite experimental is no news to whoever runs this command. */
function silenceExperimentalWarnings() {
  const listeners = process.listeners("warning");
  process.removeAllListeners("warning");
  process.on("warning", (warning) => {
    if (warning.name === "ExperimentalWarning") return;
    for (const listener of listeners) listener(warning);
  });
}
