import { numbers, stringAttribute } from "../../onnx/graph.js";
import type { Size } from "../layers.js";
import type { Rule } from "../rule.js";
import { batchNormalization } from "./batch-normalization.js";
import { convolution } from "./convolution.js";
import { averagePooling, globalAveragePooling, reduceMean } from "./pooling.js";
import { relu } from "./relu.js";

/** The transform is linear: the sum of coefficients is the coefficients of the sum. */
const addition: Rule = (call) => {
  if (!call.isMap(0) || !call.isMap(1))
    call.refuse("it adds a constant to a feature map, expected two feature maps");
  const [a, b] = [call.inputSize(0), call.inputSize(1)];
  const counts = new Set([1, a.channels, b.channels]);
  if (a.height !== b.height || a.width !== b.width || counts.size > 2)
    call.refuse(`it repeats a feature map of ${sides(a)} over one of ${sides(b)}, expected the same size`);
  return call.result(call.plan.add(call.map(0), call.map(1)));
};

const sides = ({ channels, height, width }: Size) => `${channels}x${height}x${width}`;

/** `Pad` by nothing, as PyTorch writes before an average pooling. */
const padding: Rule = (call) => {
  const given = call.node.inputs.length > 1 ? numbers(call.requiredConstant(1)) : [];
  const attribute = call.node.attributes.get("pads");
  const pads = attribute?.kind === "ints" ? attribute.value : given;
  if (pads.some((pad) => pad !== 0))
    call.refuse(
      `it pads by [${pads.join(", ")}] (${stringAttribute(call.node, "mode", "constant")}), expected zeros`,
    );
  return call.result(call.map(0));
};

/** Leaves the JPEG domain: what follows sees pixels in a row, as a fully connected layer does. */
const flattening: Rule = (call) => {
  const target = call.constant(1);
  const inputs = [call.plan.pixels(call.map(0))];
  const name = call.g.unique(call.node.outputs[0] as string);
  if (target) inputs.push(call.g.constant(call.node.inputs[1] as string, target));
  call.note("pixels", "what follows sees pixels in a row");
  call.g.copy(call.node, inputs, [name]);
  return { kind: "tensor", name };
};

/** Every operator that is converted where its input is a feature map. After that, any operator is copied. */
export const RULES: Record<string, Rule> = {
  Conv: convolution,
  BatchNormalization: batchNormalization,
  Relu: relu,
  Add: addition,
  GlobalAveragePool: globalAveragePooling,
  AveragePool: averagePooling,
  ReduceMean: reduceMean,
  Pad: padding,
  Flatten: flattening,
  Reshape: flattening,
};
