/** Bytes to planes of a large file with restart markers: one thread, and two, in turn. */
import { type Preprocess, Preprocessor, TORCHVISION } from "@jpeg-domain/conversion";
import { openHelpers } from "@jpeg-domain/node/internal";
import { median } from "jpeg-domain/internal";
import type { Photograph } from "./material.js";

/** Milliseconds: by one thread and by two. Of each the fastest turn, which other processes disturb least. */
export interface Cores {
  file: string;
  bytes: number;
  one: number;
  two: number;
  /** One over two. */
  ratio: number;
  /** The median of the rounds' ratios. */
  medianRatio: number;
}

const TURNS = 20;

export async function compareCores({ name, bytes }: Photograph, rounds: number): Promise<Cores> {
  const preprocess: Preprocess = TORCHVISION;
  const planes = { channels: 3, height: 224, width: 224 };
  using preprocessor = new Preprocessor(preprocess, planes);
  const isBusy = () => false;
  const helpers = openHelpers(preprocessor, { preprocess, planes, threads: 2, isBusy });
  const out = new Float32Array(3 * 224 * 224);
  const timed = (filler: Pick<Preprocessor, "fill">): number => {
    const start = performance.now();
    filler.fill(bytes, out);
    return performance.now() - start;
  };
  // Until the second thread has started, and its code is compiled.
  for (let i = 0; i < TURNS; i++) {
    timed(helpers);
    await new Promise((next) => setTimeout(next, 50));
  }
  const [one, two]: [number[], number[]] = [[], []];
  for (let turn = 0; turn < TURNS * rounds; turn++) {
    one.push(timed(preprocessor));
    two.push(timed(helpers));
  }
  await helpers.close();
  const [fastestOne, fastestTwo] = [Math.min(...one), Math.min(...two)];
  return {
    file: name,
    bytes: bytes.length,
    one: fastestOne,
    two: fastestTwo,
    ratio: fastestOne / fastestTwo,
    medianRatio: median(one.map((time, turn) => time / (two[turn] as number))),
  };
}
