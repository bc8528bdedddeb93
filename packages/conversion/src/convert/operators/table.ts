/** All operators: how to read their nodes as layers, and how to carry out these layers on coefficients. */
import type { CoefficientMap } from "../domain/coefficients.js";
import type { Inputs, Lowered } from "../layers.js";
import { ACTIVATIONS } from "./activations.js";
import { CHANNELS } from "./channels.js";
import type { Family, Read } from "./context.js";
import { CONVOLUTION } from "./convolution.js";
import { FUNCTIONS } from "./functions.js";
import { LINEAR } from "./linear.js";
import { NORMALIZATION } from "./normalization.js";
import { PADDING } from "./padding.js";
import { POOLING } from "./pooling.js";
import { PRODUCT } from "./product.js";
import { RESIZE } from "./resize.js";

const FAMILIES = {
  ...{ CONVOLUTION, POOLING, PADDING, RESIZE, CHANNELS },
  ...{ ACTIVATIONS, FUNCTIONS, LINEAR, PRODUCT, NORMALIZATION },
};

type LayerIn<F> = F extends Family<infer L> ? L : never;
export type Layer = LayerIn<(typeof FAMILIES)[keyof typeof FAMILIES]>;
export type Kind = Layer["kind"];
export type LayerOf<K extends Kind> = Extract<Layer, { kind: K }>;

/**
 * What a plan makes of each kind of layer. `x` is the first feature map among the inputs. Where a kind is missing, the
 * layer is carried out on pixels, as its node says.
 */
export type Lowerings<M> = {
  readonly [K in Kind]?: (x: M, layer: LayerOf<K>, inputs: Inputs<M>) => Lowered<M>;
};

/** How a node is read, by its operator. */
export type Operators = Readonly<Record<string, Read<Layer>>>;

/** The operators of which a plan may carry out layers. */
export const operatorsFor = (plan: { readonly [K in Kind]?: unknown }): Operators =>
  Object.assign(
    {},
    ...Object.values(FAMILIES)
      .filter(({ lower }) => Object.keys(lower).some((kind) => kind in plan))
      .map(({ read }) => read),
  );

/** Every kind of layer on coefficients. */
export const ON_COEFFICIENTS: Required<Lowerings<CoefficientMap>> = Object.assign(
  {},
  ...Object.values(FAMILIES).map(({ lower }) => lower),
);
