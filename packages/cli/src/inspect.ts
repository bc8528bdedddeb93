import { JpegDomainError, summarizeJpeg } from "@jpeg-domain/coefficients";
import type { PlanName, Relu } from "@jpeg-domain/conversion";
import { summarizeModel } from "@jpeg-domain/conversion/internal";
import { type FoundModel, parseModel } from "@jpeg-domain/node/internal";
import { Command } from "commander";
import {
  type InputFlag,
  inputOption,
  maxPixelsOption,
  planOption,
  reluOption,
  tolerantOption,
} from "./arguments.js";
import { eachFile } from "./files.js";
import { print, printJson } from "./print.js";
import { modelLines } from "./views/model-text.js";
import { summaryLines } from "./views/summary-text.js";

interface Flags {
  json?: boolean;
  tolerant?: boolean;
  maxPixels?: number;
  input: InputFlag;
  plan: PlanName;
  relu: Relu;
}

/** A kind of file, and how to describe one, as fields and as lines of text. */
interface Kind {
  name: string;
  matches: (bytes: Uint8Array, path: string) => boolean;
  inspect: (bytes: Uint8Array, found: FoundModel, flags: Flags) => { fields: object; lines: string[] };
}

const KINDS: readonly Kind[] = [
  {
    name: "a JPEG file (ff d8)",
    matches: (bytes) => bytes[0] === 0xff && bytes[1] === 0xd8,
    inspect: (bytes, _, { tolerant = false, maxPixels }) => {
      const summary = summarizeJpeg(bytes, { tolerant, ...(maxPixels && { maxPixels }) });
      return { fields: { kind: "jpeg", ...summary }, lines: summaryLines(summary) };
    },
  },
  {
    name: "an ONNX model",
    // Its first field is nearly always the IR version, a varint under number 1.
    matches: (bytes, path) => bytes[0] === 0x08 || path.toLowerCase().endsWith(".onnx"),
    inspect: (bytes, { model, preprocess }, { input, plan, relu }) => {
      const summary = summarizeModel(parseModel(model, bytes), {
        ...(preprocess && { preprocess }),
        input: input.kind,
        ...(input.values && { inputs: input.values }),
        plan,
        relu,
      });
      return { fields: { kind: "onnx", ...summary }, lines: modelLines(summary, process.stdout.columns) };
    },
  },
];

/** `jpeg-domain inspect`: describes a file. */
export function inspectCommand(): Command {
  return new Command("inspect")
    .description("describe JPEG files, or show the domain in which each layer of an ONNX model would run")
    .argument(
      "<file...>",
      "JPEG files: size, scans, sampling, tables; models or a model hub's folders: each layer's domain, why, operations",
    )
    .addOption(inputOption())
    .addOption(planOption())
    .addOption(reluOption())
    .addOption(tolerantOption())
    .addOption(maxPixelsOption())
    .option("--json", "print one JSON object with each file's fields or error")
    .action(run);
}

async function run(paths: string[], flags: Flags): Promise<void> {
  const { json } = flags;
  const files: object[] = [];
  const show = (path: string, bytes: Uint8Array, found: FoundModel) => {
    const { fields, lines } = kindOf(bytes, found.model).inspect(bytes, found, flags);
    if (json) files.push({ file: path, ...fields });
    else void print(`${path}: ${lines[0]}`, ...lines.slice(1));
  };
  await eachFile(paths, show, (file, error) => files.push({ file, error }));
  if (json) await printJson({ files });
}

function kindOf(bytes: Uint8Array, path: string): Kind {
  const kind = KINDS.find(({ matches }) => matches(bytes, path));
  if (kind) return kind;
  const start = Array.from(bytes.subarray(0, 4), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const found = start === "" ? "the file is empty" : `the file starts with ${start}`;
  throw new JpegDomainError(`${found}, expected ${KINDS.map(({ name }) => name).join(" or ")}`);
}
