/** Operators that move channels: blocks and frequencies stay as they are, so they act on axis 1 of the coefficients. */
import { type Constant, intAttribute, intsAttribute, numbers } from "../../onnx/graph.js";
import type { CoefficientMap } from "../domain/coefficients.js";
import {
  type CoefficientCall,
  type CoefficientRule,
  constantOf,
  mapOf,
  outputSize,
  refuse,
  requiredConstant,
} from "./call.js";

function checkAxis(call: CoefficientCall, axis: number): void {
  if (axis !== 1 && axis !== -3)
    refuse(call, `it works along axis ${axis} of [N, C, H, W], expected the channels (1)`);
}

const concatenation: CoefficientRule = (call) => {
  checkAxis(call, intAttribute(call.node, "axis", 0));
  const names = call.operands.map((operand, i) =>
    operand?.kind === "constant" ? constantMap(call, operand.value) : mapOf(call, i).name,
  );
  return [{ size: outputSize(call), name: call.domain.g.node("Concat", names, { axis: 1 }) }];
};

/** The coefficients of a constant `[N, C, H, W]`. */
function constantMap({ domain }: CoefficientCall, value: Constant): string {
  const { type, dims, data } = domain.ofConstant(value);
  return domain.transforms.parameter("map", {
    type,
    data,
    dims: [...value.dims.slice(0, 2), ...dims.slice(1)],
  });
}

const split: CoefficientRule = (call) => {
  const { node, domain, outputs } = call;
  checkAxis(call, intAttribute(node, "axis", 0));
  const x = mapOf(call);
  let from = 0;
  return outputs.map((_, i): CoefficientMap => {
    const size = outputSize(call, i);
    const to = from + size.channels;
    const name = domain.sliceChannels(x.name, from, to);
    from = to;
    return { size, name };
  });
};

const slice: CoefficientRule = (call) => {
  const { node, domain } = call;
  const given = (i: number, name: string) => {
    const constant = constantOf(call, i);
    return constant ? numbers(constant) : intsAttribute(node, name);
  };
  const x = mapOf(call);
  const starts = given(1, "starts") ?? [];
  const axes = given(3, "axes") ?? starts.map((_, i) => i);
  const steps = given(4, "steps") ?? starts.map(() => 1);
  for (const axis of axes) checkAxis(call, axis);
  if (axes.length !== 1 || (steps[0] as number) < 1)
    refuse(call, `its steps are [${steps.join(", ")}], expected 1`);
  const start = starts[0] as number;
  const size = outputSize(call);
  const from = Math.min(start < 0 ? Math.max(0, start + x.size.channels) : start, x.size.channels);
  const step = steps[0] as number;
  if (step === 1) return [{ size, name: domain.sliceChannels(x.name, from, from + size.channels) }];
  domain.g.budget.take(24 * size.channels, `a list of ${size.channels} channels`, node);
  const picked = domain.g.ints(Array.from({ length: size.channels }, (_, c) => from + c * step));
  return [{ size, name: domain.g.node("Gather", [x.name, picked], { axis: 1 }) }];
};

const gather: CoefficientRule = (call) => {
  checkAxis(call, intAttribute(call.node, "axis", 0));
  const picked: Constant = requiredConstant(call, 1);
  if (picked.dims.length !== 1) refuse(call, "it drops the channels' axis, expected a list of channels");
  const name = call.domain.g.node("Gather", [mapOf(call).name, call.domain.g.constant("channels", picked)], {
    axis: 1,
  });
  return [{ size: outputSize(call), name }];
};

export const CHANNELS: Record<string, CoefficientRule> = {
  Concat: concatenation,
  Split: split,
  Slice: slice,
  Gather: gather,
};
