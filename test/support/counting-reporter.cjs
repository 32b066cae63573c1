// Mocha's spec reporter with a closing line that scripts and people can read: `N passed, N failed`.
const { reporters } = require("mocha");

module.exports = class CountingReporter extends reporters.Spec {
  /** @param {import("mocha").Runner} runner @param {import("mocha").MochaOptions} options */
  constructor(runner, options) {
    super(runner, options);
    runner.once("end", () => {
      const { passes, failures } = this.stats;
      process.on("exit", () => process.stdout.write(`${passes} passed, ${failures} failed\n`));
    });
  }
};
