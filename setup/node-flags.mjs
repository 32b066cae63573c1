/**
 * How the product's Node is run. Streams leave garbage behind that V8 collects late when its young space is large: with 1 MiB
 * a capture takes some 100 MiB less, and is no slower. Heaps are small: helper threads of the collector cost a fifth of the processor, and
 * are waited for where cores are busy.
 */
export const NODE_FLAGS = [
  "--disable-warning=ExperimentalWarning",
  "--max-semi-space-size=1",
  "--single-threaded-gc",
  `--import=${new URL("./compile-cache.mjs", import.meta.url).href}`,
];

/** Without it glibc keeps what threads have freed for each of them: some 40 MiB more for nothing. */
export const NODE_ENVIRONMENT = { MALLOC_ARENA_MAX: "1" };
