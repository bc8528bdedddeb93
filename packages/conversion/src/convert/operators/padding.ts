/** Zeros around a feature map, which need its pixels; more channels of zeros, which do not; or nothing at all. */
import { pad } from "../domain/padding.js";
import type { Base } from "../layers.js";
import type { Family, NodeContext } from "./context.js";

export interface Pad extends Base {
  kind: "pad";
  /** Before each axis of `[N, C, H, W]`, then after each. */
  pads: number[];
}

export interface Identity extends Base {
  kind: "identity";
}

function identity(context: NodeContext): Identity {
  context.map();
  return { kind: "identity", ...context.base };
}

function padding(context: NodeContext): Pad | Identity {
  const pads = context.numbers(1, "pads") ?? [];
  if (pads.every((length) => length === 0)) return identity(context);
  const mode = context.string("mode", "constant");
  const value = Number(context.constant(2)?.data[0] ?? context.float("value", 0));
  const reason = `it pads by [${pads.join(", ")}] (${mode}), expected zeros`;
  if (mode !== "constant" || value !== 0 || context.constant(3) !== undefined) context.refuse(reason);
  context.map();
  return { kind: "pad", ...context.base, pads, reason };
}

export const PADDING: Family<Pad | Identity> = {
  read: { Pad: padding, Identity: identity, Dropout: identity },
  lower: {
    identity: (x) => x,
    pad(x, { pads, output }) {
      const { domain } = x;
      const [before, after] = [pads[1] as number, pads[5] as number];
      return [0, 2, 3, 4, 6, 7].every((axis) => pads[axis] === 0)
        ? domain.map(pad(domain.g, x.coefficients, [0, before, 0, 0, 0, 0, after, 0, 0, 0]), output)
        : domain.ofPixels(pad(domain.g, x.pixels, pads), output);
    },
  },
};
