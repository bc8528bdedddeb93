import type { Graph } from "@jpeg-domain/conversion";
import { volume } from "@jpeg-domain/conversion/internal";
import { float, float32, GraphBuilder } from "@jpeg-domain/conversion/onnx";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { mersenne } from "pure-rand/generator/mersenne";

/**
 * A residual block of the notebook:
 *
 *   out = relu(bn2(conv2(relu(bn1(conv1(x))))) + residual)
 *
 * `residual` is x itself. With `downsample`, conv1 has stride 2 and `residual` is a 1x1 convolution of stride 2.
 */
interface ResBlock {
  name: string;
  inChannels: number;
  outChannels: number;
  downsample: boolean;
}

const BLOCKS: ResBlock[] = [
  { name: "block1", inChannels: 1, outChannels: 16, downsample: false },
  { name: "block2", inChannels: 16, outChannels: 32, downsample: true },
  { name: "block3", inChannels: 32, outChannels: 64, downsample: true },
];
const SIZE = 32;
const CLASSES = 10;
/** PyTorch's defaults. Its momentum of 0.1 is 0.9 in ONNX, where it is the weight of the old value. */
const BATCH_NORM = { epsilon: float(1e-5), momentum: float(0.9) };

/**
 * The ResNet of the notebook: three residual blocks, average pooling, one fully connected layer. Input `input`
 * `[N, 1, 32, 32]`, output `logits` `[N, 10]`, parameters named as in PyTorch (`block1.conv1.weight`, …).
 *
 * It is initialised as PyTorch does by default: convolution weights, linear weights and the linear bias are uniform in
 * ±1/√fan_in (`kaiming_uniform_(a=√5)`); batch normalisation has weight 1, bias 0, mean 0 and variance 1.
 *
 * @param seed - a whole number; the same seed gives the same weights on every machine
 */
export function resnet(seed: number): Graph {
  const g = new GraphBuilder("resnet", 17);
  const random = mersenne(seed);

  const uniform = (name: string, dims: number[], fanIn: number) => {
    const bound = 1 / Math.sqrt(fanIn);
    const values = Float32Array.from(
      { length: volume(dims) },
      () => (2 * uniformFloat64(random) - 1) * bound,
    );
    return g.constant(name, float32(values, dims));
  };
  const conv = (name: string, x: string, i: number, o: number, kernel: number, stride: number) => {
    const weight = uniform(`${name}.weight`, [o, i, kernel, kernel], i * kernel * kernel);
    const pad = (kernel - 1) / 2;
    const attributes = {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [pad, pad, pad, pad],
    };
    return g.node("Conv", [x, weight], attributes, name);
  };
  const batchNorm = (name: string, x: string, channels: number) => {
    const fill = (part: string, value: number) =>
      g.constant(`${name}.${part}`, float32(new Float32Array(channels).fill(value)));
    const inputs = [x, fill("weight", 1), fill("bias", 0), fill("running_mean", 0), fill("running_var", 1)];
    return g.node("BatchNormalization", inputs, BATCH_NORM, name);
  };
  const relu = (name: string, x: string) => g.node("Relu", [x], {}, name);

  let x = g.input("input", "float32", ["N", 1, SIZE, SIZE]);
  for (const { name, inChannels, outChannels, downsample } of BLOCKS) {
    const stride = downsample ? 2 : 1;
    let out = conv(`${name}.conv1`, x, inChannels, outChannels, 3, stride);
    out = relu(`${name}.relu1`, batchNorm(`${name}.bn1`, out, outChannels));
    out = conv(`${name}.conv2`, out, outChannels, outChannels, 3, 1);
    out = batchNorm(`${name}.bn2`, out, outChannels);
    const residual = downsample ? conv(`${name}.downsampler`, x, inChannels, outChannels, 1, 2) : x;
    x = relu(`${name}.relu2`, g.node("Add", [out, residual], {}, `${name}.add`));
  }
  const features = BLOCKS.at(-1)?.outChannels as number;
  x = g.node("AveragePool", [x], { kernel_shape: [8, 8], strides: [1, 1] }, "averagepooling");
  x = g.node("Flatten", [x], {}, "flatten");
  const fc = [uniform("fc.weight", [CLASSES, features], features), uniform("fc.bias", [CLASSES], features)];
  g.output(g.node("Gemm", [x, ...fc], { transB: 1 }), "logits", "float32", ["N", CLASSES]);
  return g.build();
}
