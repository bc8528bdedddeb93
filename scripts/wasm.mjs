/**
 * Compiles each program of src/jpeg/assembly (AssemblyScript) to WebAssembly, and writes it as a module that holds its
 * bytes as base64: the package then needs no fetch and no file path, in Node or in a page.
 *
 *   src/jpeg/assembly/NAME.ts  →  src/jpeg/generated/NAME.ts    for every NAME in PROGRAMS
 */
import { mkdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const PROGRAMS = ["decode", "encode", "pixels"];
const root = fileURLToPath(new URL("..", import.meta.url));

await mkdir(`${root}/src/jpeg/generated`, { recursive: true });
for (const name of PROGRAMS) {
  let binary = new Uint8Array();
  const options = [
    "--runtime",
    "stub",
    "--noAssert",
    "-O3",
    "--converge",
    "--enable",
    "simd",
    "--baseDir",
    root,
  ];
  const { error, stderr } = await asc.main(
    [`src/jpeg/assembly/${name}.ts`, "-o", "module.wasm", ...options],
    {
      writeFile: (_, contents) => {
        binary = contents;
      },
    },
  );
  if (error) {
    console.error(String(stderr));
    process.exit(1);
  }
  const base64 = Buffer.from(binary).toString("base64");
  const source = `/** Compiled from src/jpeg/assembly/${name}.ts by scripts/wasm.mjs. */\nexport const wasm =\n  "${base64}";\n`;
  await writeFile(`${root}/src/jpeg/generated/${name}.ts`, source);
}
