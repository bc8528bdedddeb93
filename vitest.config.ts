import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string) => fileURLToPath(new URL(`packages/${path}.ts`, import.meta.url));

/** Tests take packages from their sources, by name as by path: a class is then one, and `instanceof` holds. */
// biome-ignore lint/style/noDefaultExport: where vitest looks for it
export default defineConfig({
  resolve: {
    alias: [
      { find: /^jpeg-domain$/, replacement: source("cli/src/index") },
      { find: /^jpeg-domain\/(\w+)$/, replacement: source("cli/src/$1") },
      { find: /^@jpeg-domain\/(\w+)$/, replacement: source("$1/src/index") },
      { find: /^@jpeg-domain\/(\w+)\/(\w+)$/, replacement: source("$1/src/$2") },
    ],
  },
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // What is built is taken as Node takes it: from dist, in every package.
    server: { deps: { external: [/\/packages\/\w+\/dist\//] } },
  },
});
