/**
 * Average pooling. Over a whole map it needs only k = 0, which is each block's mean (times 8 / q[0]): all blocks are
 * of one size, so the mean of the map is the mean of the blocks' means.
 */
import { intAttribute, intsAttribute, numbers } from "../../onnx/graph.js";
import type { Rule, Value } from "../rule.js";
import { averagePooling as overWindows } from "./convolution.js";

const tensor = (name: string): Value => ({ kind: "tensor", name });

export const globalAveragePooling: Rule = (call) => tensor(call.plan.globalAverage(call.map(0)));

export const averagePooling: Rule = (call) => {
  const { height, width } = call.inputSize();
  const [kh, kw] = intsAttribute(call.node, "kernel_shape") ?? [];
  const padded = intsAttribute(call.node, "pads")?.some((pad) => pad !== 0) ?? false;
  const [, , ...output] = call.outputShape();
  const whole = kh === height && kw === width && !padded && output.every((length) => length === 1);
  if (!whole && call.plan.lift) call.refuse("as an operator on pixels it is faster than as a convolution");
  return whole ? globalAveragePooling(call) : overWindows(call);
};

/** A mean over height and width; any other reduction leaves the feature map's shape. */
export const reduceMean: Rule = (call) => {
  const given =
    call.node.inputs.length > 1 ? numbers(call.requiredConstant(1)) : intsAttribute(call.node, "axes");
  const axes = given?.map((axis) => (axis < 0 ? axis + 4 : axis)).sort();
  if (axes?.join() !== "2,3")
    call.refuse(`it averages over axes [${given?.join(", ") ?? "all"}], expected height and width [2, 3]`);
  const mean = call.plan.globalAverage(call.map(0));
  return tensor(intAttribute(call.node, "keepdims", 1) === 1 ? mean : call.g.node("Flatten", [mean]));
};
