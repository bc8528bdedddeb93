import { Command } from "commander";
import { JpegDomainError } from "../errors.js";
import { summarizeJpeg } from "../jpeg/summary.js";
import { summaryLines } from "../report/summary-text.js";
import { eachFile } from "./files.js";

/** A kind of file, and what to say about one: the same as fields and as lines of text. */
interface Kind {
  name: string;
  matches: (bytes: Uint8Array) => boolean;
  inspect: (bytes: Uint8Array) => { fields: object; lines: string[] };
}

const KINDS: readonly Kind[] = [
  {
    name: "a JPEG file (ff d8)",
    matches: (bytes) => bytes[0] === 0xff && bytes[1] === 0xd8,
    inspect: (bytes) => {
      const summary = summarizeJpeg(bytes);
      return { fields: { kind: "jpeg", ...summary }, lines: summaryLines(summary) };
    },
  },
];

/** `jpeg-domain inspect`: what is in a file. */
export function inspectCommand(): Command {
  return new Command("inspect")
    .description("tell what JPEG files are made of: size, scans, sampling, tables, quality, zeros")
    .argument("<file.jpg...>")
    .option("--json", "print one JSON object: files, each with its fields or its error")
    .action(run);
}

async function run(paths: string[], { json }: { json?: boolean }): Promise<void> {
  const files: object[] = [];
  const show = (path: string, bytes: Uint8Array) => {
    const { fields, lines } = kindOf(bytes).inspect(bytes);
    if (json) files.push({ file: path, ...fields });
    else console.log(`${path}: ${lines.join("\n")}`);
  };
  await eachFile(paths, show, (file, error) => files.push({ file, error }));
  if (json) console.log(JSON.stringify({ files }));
}

function kindOf(bytes: Uint8Array): Kind {
  const kind = KINDS.find(({ matches }) => matches(bytes));
  if (kind) return kind;
  const start = Array.from(bytes.subarray(0, 4), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const found = start === "" ? "the file is empty" : `the file starts with ${start}`;
  throw new JpegDomainError(`${found}, expected ${KINDS.map(({ name }) => name).join(" or ")}`);
}
