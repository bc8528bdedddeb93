/**
 * Reads every JPEG file in a folder, and compares each coefficient with libjpeg-turbo's jpeg_read_coefficients (needs gcc
 * and libjpeg62-turbo-dev). Without them it compares each pixel with sharp's.
 *
 *   node scripts/compare-jpeg.mjs FOLDER [--list]      after npm run build; --list prints each file with its outcome
 *
 * Each file is read in another process, so that a crash or a hang is counted. The status is 1 if a file differs, crashes,
 * or is refused although libjpeg reads it.
 */
import { fork, spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readdirSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const MOST_MILLISECONDS = 60_000;
const local = (path) => fileURLToPath(new URL(path, import.meta.url));

const [folder] = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
if (folder === undefined) {
  console.error("usage: node scripts/compare-jpeg.mjs FOLDER [--list]");
  process.exit(2);
}

const scratch = mkdtempSync(join(tmpdir(), "compare-jpeg-"));
const compiled = compileLibjpeg(join(scratch, "libjpeg"));
console.log(
  compiled
    ? "compared with the coefficients of libjpeg-turbo"
    : "no compiled libjpeg-turbo (gcc, libjpeg62-turbo-dev): compared with the pixels of sharp, at most 4 levels apart",
);

const files = jpegFiles(folder);
const outcomes = new Map();
const strictness = { refuses: 0, accepts: 0 };
let worker;
for (const file of files) {
  worker ??= fork(local("compare-jpeg/worker.mjs"), compiled ? [compiled] : [], { stdio: "inherit" });
  const answer = await ask(worker, file);
  if (answer.outcome === "crash") {
    worker.kill("SIGKILL");
    worker = undefined;
  }
  count(file, answer);
}
worker?.kill();
rmSync(scratch, { recursive: true });
report();

function compileLibjpeg(path) {
  const { status } = spawnSync("cc", ["-O2", "-o", path, local("../test/jpeg/libjpeg.c"), "-ljpeg"]);
  return status === 0 ? path : undefined;
}

/** Files with a JPEG's extension, and files that start like a JPEG. */
function jpegFiles(from) {
  return readdirSync(from, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .filter((path) => /\.(jpe?g|jpe|jfif)$/i.test(path) || startsLikeJpeg(path))
    .sort();
}

function startsLikeJpeg(path) {
  const file = openSync(path, "r");
  const start = Buffer.alloc(3);
  readSync(file, start);
  closeSync(file);
  return start[0] === 0xff && start[1] === 0xd8 && start[2] === 0xff;
}

/** The worker's answer for a file: { outcome, reason?, strict? }; a crash if it ends or takes too long. */
function ask(child, file) {
  return new Promise((resolve) => {
    const done = (answer) => {
      clearTimeout(timer);
      child.removeAllListeners();
      resolve(answer);
    };
    const timer = setTimeout(
      () => done({ outcome: "crash", reason: `no answer in ${MOST_MILLISECONDS / 1000} s` }),
      MOST_MILLISECONDS,
    );
    child.once("message", done);
    child.once("exit", (code, signal) => done({ outcome: "crash", reason: `ended with ${signal ?? code}` }));
    child.send(file);
  });
}

function count(file, { outcome, reason = "", strict }) {
  if (process.argv.includes("--list") || ["differ", "crash"].includes(outcome))
    console.log(`${outcome}  ${file}  ${reason}`);
  if (strict) strictness[strict]++;
  // Without positions, so that equal reasons are counted together.
  const kind = reason.replace(/^byte \d+(, )?/, "").replace(/\d+/g, "N");
  const reasons = outcomes.get(outcome) ?? new Map();
  reasons.set(kind, (reasons.get(kind) ?? 0) + 1);
  outcomes.set(outcome, reasons);
}

function report() {
  const number = (outcome) => [...(outcomes.get(outcome)?.values() ?? [])].reduce((sum, n) => sum + n, 0);
  const lines = [
    ["identical", "identical, tolerant reading"],
    ["both refuse", "refused by libjpeg and by us"],
    ["refused", "refused only by us"],
    ["ours alone", "read only by us"],
    ["not compared", "read, not compared"],
    ["differ", "differ"],
    ["crash", "crash or hang"],
  ];
  console.log(`\n${files.length} files in ${folder}`);
  for (const [outcome, text] of lines) {
    console.log(`${String(number(outcome)).padStart(7)}  ${text}`);
    if (outcome === "identical") continue;
    const reasons = [...(outcomes.get(outcome) ?? [])].sort(([, a], [, b]) => b - a);
    for (const [reason, times] of reasons)
      console.log(`${" ".repeat(9)}${String(times).padStart(6)}  ${reason}`);
  }
  if (compiled) {
    console.log(
      `${String(strictness.refuses).padStart(7)}  refused by the strict reader, no warning from libjpeg`,
    );
    console.log(
      `${String(strictness.accepts).padStart(7)}  read by the strict reader, a warning from libjpeg`,
    );
  }
  process.exitCode = number("differ") + number("crash") + number("refused") > 0 ? 1 : 0;
}
