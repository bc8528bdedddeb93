import type { GraphBuilder } from "@jpeg-domain/conversion/onnx";

export interface AdamOptions {
  /** Decay of the first and second moment. */
  betas: [number, number];
  epsilon: number;
}

export const ADAM: AdamOptions = { betas: [0.9, 0.999], epsilon: 1e-8 };

/** Names of the values that Adam keeps between steps. All are `[P]`, but `step` is a float64 scalar. */
export interface AdamState {
  parameters: string;
  moment1: string;
  moment2: string;
  /** Steps taken so far. */
  step: string;
}

/** The inputs of one step: the gradient `[P]`, in the order of the parameters, and α (float64 scalar). */
export interface AdamInputs {
  gradient: string;
  learningRate: string;
}

/**
 * One step of Adam (Kingma & Ba 2015, algorithm 1), with the order and rounding of PyTorch's `torch.optim.Adam`:
 *
 *   t' = t + 1        m' = β₁·m + (1 - β₁)·g        v' = β₂·v + (1 - β₂)·g²
 *   θ' = θ - (α / (1 - β₁^t'))·m' / (√v' / √(1 - β₂^t') + ε)
 *
 * The bias corrections are computed in float64, everything else in float32.
 *
 * @returns the names of the next state
 */
export function adam(
  g: GraphBuilder,
  { betas, epsilon }: AdamOptions,
  state: AdamState,
  { gradient, learningRate }: AdamInputs,
): AdamState {
  const op = (name: string, ...inputs: string[]) => g.node(name, inputs);
  const double = (value: number) =>
    g.constant("double", { type: "float64", dims: [], data: Float64Array.of(value) });
  const single = (value: string) => g.node("Cast", [value], { to: 1 });
  const scaled = (x: string, factor: number) => op("Mul", x, g.floats([factor]));

  const step = op("Add", state.step, double(1));
  const [correction1, correction2] = betas.map((beta) =>
    op("Sub", double(1), op("Pow", double(beta), step)),
  ) as [string, string];
  const size = single(op("Neg", op("Div", learningRate, correction1)));
  const root = single(op("Sqrt", correction2));

  const moment1 = op("Add", scaled(state.moment1, betas[0]), scaled(gradient, 1 - betas[0]));
  const square = op("Mul", scaled(gradient, 1 - betas[1]), gradient);
  const moment2 = op("Add", scaled(state.moment2, betas[1]), square);
  const denominator = op("Add", op("Div", op("Sqrt", moment2), root), g.floats([epsilon]));
  const parameters = op("Add", state.parameters, op("Div", op("Mul", moment1, size), denominator));
  return { parameters, moment1, moment2, step };
}
