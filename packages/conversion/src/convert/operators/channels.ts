/** Operators that move channels: blocks and frequencies stay as they are, so they act on axis 1 of the coefficients. */
import type { GraphBuilder } from "../../onnx/builder.js";
import { type Constant, int64 } from "../../onnx/graph.js";
import type { CoefficientMap, Coefficients } from "../domain/coefficients.js";
import type { Base, Size } from "../layers.js";
import type { Family, NodeContext } from "./context.js";

export interface Concat extends Base {
  kind: "concat";
}

/** Channels `from` to `to` (left out), every `step`th; or a list of them. */
type Pick = { from: number; to: number; step: number } | Constant;

/** Some of the channels, for each output. */
export interface Channels extends Base {
  kind: "channels";
  picks: { size: Size; channels: Pick }[];
}

function checkAxis(context: NodeContext, axis: number): void {
  if (axis !== 1 && axis !== -3)
    context.refuse(`it works along axis ${axis} of [N, C, H, W], expected the channels (1)`);
}

function concat(context: NodeContext): Concat {
  checkAxis(context, context.int("axis", 0));
  for (const [i, operand] of context.operands.entries()) if (operand?.kind !== "constant") context.map(i);
  return { kind: "concat", ...context.base };
}

function split(context: NodeContext): Channels {
  checkAxis(context, context.int("axis", 0));
  context.map();
  let from = 0;
  const picks = context.node.outputs.map((_, i) => {
    const size = context.output(i);
    const channels = { from, to: from + size.channels, step: 1 };
    from = channels.to;
    return { size, channels };
  });
  return { kind: "channels", ...context.base, picks };
}

function slice(context: NodeContext): Channels {
  const input = context.map();
  const starts = context.numbers(1, "starts") ?? [];
  const axes = context.numbers(3, "axes") ?? starts.map((_, i) => i);
  const steps = context.numbers(4, "steps") ?? starts.map(() => 1);
  for (const axis of axes) checkAxis(context, axis);
  const [start = 0, step = 0] = [starts[0], steps[0]];
  if (axes.length !== 1 || step < 1)
    context.refuse(
      `it takes steps of [${steps.join(", ")}] along ${axes.length} axes, expected 1 or more along 1`,
    );
  const base = context.base;
  const from = Math.min(start < 0 ? Math.max(0, start + input.channels) : start, input.channels);
  const channels = { from, to: from + base.output.channels * step, step };
  return { kind: "channels", ...base, picks: [{ size: base.output, channels }] };
}

function gather(context: NodeContext): Channels {
  checkAxis(context, context.int("axis", 0));
  context.map();
  const channels = context.required(1);
  if (channels.dims.length !== 1) context.refuse("it drops the channels' axis, expected a list of channels");
  return { kind: "channels", ...context.base, picks: [{ size: context.output(), channels }] };
}

type MapInput = { map: CoefficientMap };

/** The coefficients of a constant `[N, C, H, W]`. */
function constantMap(domain: Coefficients, value: Constant): string {
  const { type, dims, data } = domain.ofConstant(value);
  return domain.transforms.parameter("map", {
    type,
    data,
    dims: [...value.dims.slice(0, 2), ...dims.slice(1)],
  });
}

function picked({ domain: { g }, coefficients }: CoefficientMap, pick: Pick): string {
  if (!("type" in pick) && pick.step === 1) return g.slice(coefficients, { axis: 1, ...pick });
  const list = "type" in pick ? pick : listed(g, pick);
  return g.node("Gather", [coefficients, g.constant("channels", list)], { axis: 1 });
}

function listed(g: GraphBuilder, { from, to, step }: Exclude<Pick, Constant>): Constant {
  const count = (to - from) / step;
  g.budget.take(24 * count, `a list of ${count} channels`);
  return int64(Array.from({ length: count }, (_, c) => from + c * step));
}

export const CHANNELS: Family<Concat | Channels> = {
  read: { Concat: concat, Split: split, Slice: slice, Gather: gather },
  lower: {
    concat({ domain }, { output }, inputs) {
      const names = inputs.map((input) =>
        input?.kind === "constant" ? constantMap(domain, input.value) : (input as MapInput).map.coefficients,
      );
      return domain.map(domain.g.node("Concat", names, { axis: 1 }), output);
    },
    channels: (x, { picks }) => picks.map(({ size, channels }) => x.domain.map(picked(x, channels), size)),
  },
};
