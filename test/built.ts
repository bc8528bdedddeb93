/** The packages as they are built, with their public names: threads and processes that tests start need JavaScript. */
import { existsSync } from "node:fs";
import type * as Api from "./api.js";

const ENTRIES = ["cli/dist/index.js", "conversion/dist/onnx.js", "experiments/dist/index.js"];

export async function importBuilt(): Promise<typeof Api> {
  const modules = await Promise.all(
    ENTRIES.map((entry) => {
      const url = new URL(`../packages/${entry}`, import.meta.url);
      if (!existsSync(url)) throw new Error(`${url} is missing: npm run build makes it`);
      return import(url.href) as Promise<object>;
    }),
  );
  return Object.assign({}, ...modules) as typeof Api;
}
