import type { CoefficientMap, Coefficients } from "../domain/coefficients.js";
import type { Conversion, Rule, Value } from "../rule.js";
import { ACTIVATIONS } from "./activations.js";
import { ARITHMETIC } from "./arithmetic.js";
import type { CoefficientCall, CoefficientRule, Operand } from "./call.js";
import { CHANNELS } from "./channels.js";
import { RESIZE } from "./resize.js";
import { WINDOWS } from "./windows.js";

/** Every operator that takes coefficients to coefficients. Another one, as MaxPool, has none: it needs pixels. */
const COEFFICIENT_RULES: Record<string, CoefficientRule> = {
  ...WINDOWS,
  ...ARITHMETIC,
  ...ACTIVATIONS,
  ...CHANNELS,
  ...RESIZE,
};

/** The rules as the engine calls them. */
export const coefficientRules = (domain: Coefficients): Record<string, Rule> =>
  Object.fromEntries(
    Object.entries(COEFFICIENT_RULES).map(([op, rule]) => [
      op,
      (call) =>
        rule(described(call, domain)).map(
          (result): Value =>
            "tensor" in result
              ? { kind: "tensor", name: result.tensor }
              : { kind: "map", map: result, size: result.size },
        ),
    ]),
  );

function described(call: Conversion, domain: Coefficients): CoefficientCall {
  const { node, constants } = call;
  const operands = node.inputs.map((input, i): Operand | undefined => {
    const value = call.value(i);
    const constant = constants.get(input);
    if (value?.kind === "map") return { kind: "map", map: value.map as CoefficientMap };
    if (constant) return { kind: "constant", value: constant };
    return value && { kind: "tensor", name: value.name, shape: call.shapes([input])[0] ?? [] };
  });
  return { node, domain, operands, outputs: call.shapes(node.outputs) };
}
