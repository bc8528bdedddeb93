/**
 * A training step of the notebook's ResNet at batch 128: ours against PyTorch's on the same two cores, interleaved; and
 * where ours spends its time.
 *
 * The floor is the multiplications of the forward pass, and as many again for the gradients of the weights and of the
 * inputs (except the first layer's input), at the speed of ONNX Runtime's forward pass.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { resnet } from "@jpeg-domain/training";
import { ADAM, openTrainer, type Trainer } from "@jpeg-domain/training/internal";
import { Command } from "commander";
import {
  type Contestant,
  columns,
  interleave,
  median,
  positiveInteger,
  print,
  printJson,
} from "jpeg-domain/internal";
import { uniformFloat32 } from "pure-rand/distribution/uniformFloat32";
import { mersenne } from "pure-rand/generator/mersenne";

interface Flags {
  rounds: number;
  steps: number;
  json?: boolean;
}

const BATCH = 128;
const REQUIRED = 1.5;
/** PyTorch from Debian's python3-torch works with Debian's own interpreter. */
const PYTHON = "/usr/bin/python3";
const SCRIPT = fileURLToPath(new URL("../../src/bench/peers/pytorch.py", import.meta.url));

export const command = () =>
  new Command("train")
    .description("a training step, against PyTorch's, and the share of each operator")
    .option("--rounds <n>", "rounds", positiveInteger, 6)
    .option("--steps <n>", "training steps per turn", positiveInteger, 10)
    .option("--json", "print the result as one JSON object")
    .action(run);

async function run({ rounds, steps, json }: Flags): Promise<void> {
  const { images, labels } = randomBatch();
  const trainer = await openTrainer(resnet(0), ADAM);
  const step = () => trainer.step(images, labels, 1e-3);
  const contestants: Contestant[] = [{ name: "ours", amount: 1, calls: steps, run: step }];
  const torch = await openTorch(steps);
  if (torch) contestants.push(torch.contestant);
  const speeds = await interleave(contestants, rounds);
  await trainer.release();
  torch?.close();

  const milliseconds = (name: string) => (speeds.get(name) ?? []).map((speed) => 1000 / speed);
  const ours = median(milliseconds("ours"));
  const theirs = torch && median(milliseconds("PyTorch"));
  // The requirement is on the ratio of both.
  if (torch === undefined) process.exitCode = 1;
  const shares = await operatorShares(images, labels, steps);
  if (json) {
    const peer = torch && {
      pytorchMilliseconds: theirs,
      ratio: ours / (theirs ?? 1),
      pytorch: torch.version,
    };
    await printJson({ batch: BATCH, milliseconds: ours, ...peer, required: REQUIRED, shares });
    return;
  }
  const row = (name: string, times: number[]) => [
    name,
    ...[median(times), Math.min(...times), Math.max(...times)].map((time) => time.toFixed(1)),
  ];
  const rows = [
    [`ms per step, batch ${BATCH}`, "median", "least", "most"],
    row("ours", milliseconds("ours")),
  ];
  if (torch) rows.push(row(`PyTorch ${torch.version}`, milliseconds("PyTorch")));
  await print(...columns(rows));
  const ratio =
    theirs === undefined
      ? `PyTorch is not installed (Debian's python3-torch has it): measured ours alone`
      : `ratio ${(ours / theirs).toFixed(2)}, required at most ${REQUIRED}`;
  const operators = columns([["operator", "share"], ...shares.map(({ op, share }) => [op, percent(share)])]);
  await print("", ratio, "", ...operators);
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

function randomBatch() {
  const random = mersenne(0);
  return {
    images: Float32Array.from({ length: BATCH * 1024 }, () => 2 * uniformFloat32(random) - 1),
    labels: BigInt64Array.from({ length: BATCH }, (_, i) => BigInt(i % 10)),
  };
}

interface Torch {
  version: string;
  contestant: Contestant;
  close(): void;
}

/** PyTorch in a separate process, which waits between its turns; `undefined` if it is not installed. */
async function openTorch(steps: number): Promise<Torch | undefined> {
  const child = spawn(PYTHON, [SCRIPT], { stdio: ["pipe", "pipe", "ignore"] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const started = await Promise.race([lines.next(), failure(child)]);
  if (started === undefined || started.done) return undefined;
  const run = async () => {
    child.stdin.write(`${steps}\n`);
    await lines.next();
  };
  return {
    version: started.value,
    contestant: { name: "PyTorch", amount: steps, run },
    close: () => child.stdin.end(),
  };
}

const failure = (child: ChildProcess) => once(child, "error").then(() => undefined);

/** Each operator's share of the kernel time in ONNX Runtime's profile. */
async function operatorShares(images: Float32Array, labels: BigInt64Array, steps: number) {
  const folder = await mkdtemp(join(tmpdir(), "jpeg-domain-profile-"));
  try {
    const trainer: Trainer = await openTrainer(resnet(0), ADAM, {
      enableProfiling: true,
      profileFilePrefix: join(folder, "profile"),
    });
    for (let i = 0; i < steps; i++) await trainer.step(images, labels, 1e-3);
    trainer.session.endProfiling();
    await trainer.release();
    const [file] = (await readdir(folder)) as [string];
    const events = JSON.parse(await readFile(join(folder, file), "utf8")) as ProfileEvent[];
    return sharesOf(events);
  } finally {
    await rm(folder, { recursive: true });
  }
}

interface ProfileEvent {
  cat: string;
  name: string;
  /** Microseconds. */
  dur: number;
  args?: { op_name?: string };
}

function sharesOf(events: ProfileEvent[]) {
  const times = new Map<string, number>();
  for (const { cat, name, dur, args } of events)
    if (cat === "Node" && name.endsWith("_kernel_time") && args?.op_name)
      times.set(args.op_name, (times.get(args.op_name) ?? 0) + dur);
  const total = [...times.values()].reduce((a, b) => a + b, 0);
  return [...times].map(([op, time]) => ({ op, share: time / total })).sort((a, b) => b.share - a.share);
}
