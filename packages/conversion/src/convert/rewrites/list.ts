import { CONSTANTS } from "../../onnx/fold.js";
import type { GraphRewrite, Rewrite } from "../../onnx/rewrite.js";
import type { PlanName } from "../options.js";
import { channelsFirst } from "./channels-first.js";
import { foldBatchNormalization } from "./fold-batch-normalization.js";
import { foldChannel, foldShuffle } from "./fold-channels.js";
import { foldZeros } from "./fold-zeros.js";

/** Every rewrite of a model before its conversion, in the order in which they apply, with the plans that need it. */
export const REWRITES: readonly [rewrite: Rewrite | GraphRewrite, plans?: readonly PlanName[]][] = [
  ...CONSTANTS.map((rewrite): [Rewrite] => [rewrite]),
  [channelsFirst],
  [foldBatchNormalization],
  [foldShuffle, ["blockwise"]],
  [foldChannel, ["blockwise"]],
  [foldZeros, ["blockwise"]],
];

export const rewritesFor = (plan: PlanName): (Rewrite | GraphRewrite)[] =>
  REWRITES.flatMap(([rewrite, plans]) => (plans?.includes(plan) === false ? [] : [rewrite]));
