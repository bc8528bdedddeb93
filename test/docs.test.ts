/** The paths that docs/architecture.md names exist. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PACKAGES = /^(coefficients|conversion|node|training|cli|experiments)$/;
const [, table = ""] = readFileSync(`${ROOT}/docs/architecture.md`, "utf8").split("## Where to change what");
const rows = table.split("\n").filter((line) => /^\| [a-z]/i.test(line) && !line.startsWith("| task"));

/** The paths in a row: those after a package's name are in its src/. */
function pathsIn(row: string): string[] {
  let folder = "";
  return Array.from(row.matchAll(/`([^`]+)`/g), ([, word = ""]) => word).flatMap((word) => {
    if (PACKAGES.test(word)) folder = `packages/${word}/src/`;
    if (!/\/|\.ts$/.test(word)) return [];
    return word.startsWith("test/") ? [word] : [`${folder}${word}`];
  });
}

test.each(rows.map((row) => [row.split("|")[1]?.trim(), pathsIn(row)] as const))(
  "to change %s",
  (_, paths) => {
    expect(paths).not.toEqual([]);
    expect(paths.filter((path) => !existsSync(`${ROOT}/${path}`))).toEqual([]);
  },
);
