/**
 * Compiles each program of src/jpeg/assembly (AssemblyScript) to WebAssembly, and writes it as a module that holds its
 * bytes as base64: the package then needs no fetch and no file path, in Node or in a page.
 *
 *   src/jpeg/assembly/NAME.ts  →  src/jpeg/generated/NAME.ts    for every NAME in PROGRAMS
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const PROGRAMS = ["decode", "encode", "pixels"];
const root = fileURLToPath(new URL("..", import.meta.url));

await mkdir(`${root}/src/jpeg/generated`, { recursive: true });
for (const name of PROGRAMS) {
  const binary = `${root}/dist/${name}.wasm`;
  await mkdir(`${root}/dist`, { recursive: true });
  const options = ["--runtime", "stub", "--noAssert", "-O3", "--converge", "--enable", "simd"];
  const { error, stderr } = await asc.main([
    `src/jpeg/assembly/${name}.ts`,
    "-o",
    binary,
    ...options,
    "--baseDir",
    root,
  ]);
  if (error) {
    console.error(String(stderr));
    process.exit(1);
  }
  const base64 = (await readFile(binary)).toString("base64");
  const source = `/** Compiled from src/jpeg/assembly/${name}.ts by scripts/wasm.mjs. */\nexport const wasm =\n  "${base64}";\n`;
  await writeFile(`${root}/src/jpeg/generated/${name}.ts`, source);
}
