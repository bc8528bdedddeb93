/**
 * Compiles each AssemblyScript program to WebAssembly, and writes it as a module that contains its bytes as base64. So the
 * package needs no fetch and no file path, in Node or in a page.
 *
 *   ROOM/assembly/NAME.ts  →  ROOM/generated/NAME.ts    for every ROOM/NAME in PROGRAMS
 */
import { mkdir, writeFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import { gatherSource } from "./gather.mjs";

const PROGRAMS = [
  "packages/coefficients/src/jpeg/decode",
  "packages/coefficients/src/jpeg/encode",
  "packages/conversion/src/preprocess/wasm/planes",
];
const root = fileURLToPath(new URL("..", import.meta.url));

const gather = `${root}/packages/conversion/src/preprocess/wasm/assembly/generated/gather.ts`;
await mkdir(dirname(gather), { recursive: true });
await writeFile(gather, gatherSource);

for (const program of PROGRAMS) {
  const [room, name] = [dirname(program), basename(program)];
  const [from, to] = [`${room}/assembly/${name}.ts`, `${root}/${room}/generated/${name}.ts`];
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
  const { error, stderr } = await asc.main([from, "-o", "module.wasm", ...options], {
    writeFile: (_, contents) => {
      binary = contents;
    },
  });
  if (error) {
    console.error(String(stderr));
    process.exit(1);
  }
  const base64 = Buffer.from(binary).toString("base64");
  const source = `/** Compiled from ${from} by scripts/wasm.mjs. */\nexport const wasm =\n  "${base64}";\n`;
  await mkdir(dirname(to), { recursive: true });
  await writeFile(to, source);
}
