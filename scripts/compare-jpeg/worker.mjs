/** Compares the files whose names ../compare-jpeg.mjs sends. The argument is the compiled test/jpeg/libjpeg.c. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import sharp from "sharp";
import { fillPlanes, JpegError, readCoefficients, readHeader } from "../../packages/cli/dist/index.js";

const [program] = process.argv.slice(2);
/** The same limit as in test/jpeg/libjpeg.c. */
const LIMITS = { maxPixels: 1e8 };
/** The largest difference between two roundings of the same transform. */
const MOST_LEVELS = 4;

process.on("message", async (path) => {
  const bytes = readFileSync(path);
  process.send(program ? compareCoefficients(bytes) : await comparePixels(bytes));
});

/** The result, or the message of a JpegError. Any other error is a crash. */
function attempt(read) {
  try {
    return read();
  } catch (error) {
    if (error instanceof JpegError) return error.message;
    throw error;
  }
}

function compareCoefficients(bytes) {
  const ours = attempt(() => readCoefficients(bytes, { ...LIMITS, tolerant: true }));
  const strict = attempt(() => readCoefficients(bytes, LIMITS));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  const { stdout, status, signal } = spawnSync(program, {
    input: Buffer.concat([length, bytes]),
    maxBuffer: 2 ** 31 - 1,
  });
  if (status !== 0)
    return { outcome: "not compared", reason: `libjpeg's program ended with ${signal ?? status}` };
  const theirs = answerOf(stdout);
  if (typeof theirs === "string")
    return typeof ours === "string"
      ? { outcome: "both refuse", reason: `libjpeg: ${theirs}` }
      : { outcome: "ours alone", reason: `libjpeg: ${theirs}` };
  if (typeof ours === "string") return { outcome: "refused", reason: ours };
  const difference = differenceOf(ours, theirs);
  if (difference !== undefined) return { outcome: "differ", reason: difference };
  const isSilent = theirs.warnings === 0;
  if (typeof strict === "string" && isSilent) return { outcome: "identical", strict: "refuses" };
  return { outcome: "identical", ...(typeof strict !== "string" && !isSilent && { strict: "accepts" }) };
}

/** The program's output for one file, with the components' values as bytes; or its message. */
function answerOf(output) {
  let at = 0;
  const int = () => {
    at += 4;
    return output.readInt32LE(at - 4);
  };
  const take = (count) => {
    at += count;
    return output.subarray(at - count, at);
  };
  const count = int();
  if (count === -1) return take(200).toString().replace(/\0+$/, "");
  const [width, height, warnings] = [int(), int(), int()];
  int(); // The colour space.
  const components = Array.from({ length: count }, () => {
    const [id, horizontalSampling, verticalSampling, blocksWide, blocksHigh] = Array.from({ length: 5 }, int);
    const quantization = take(128);
    const coefficients = take(blocksWide * blocksHigh * 128);
    return { id, horizontalSampling, verticalSampling, blocksWide, blocksHigh, quantization, coefficients };
  });
  return { width, height, warnings, components };
}

function differenceOf(ours, theirs) {
  for (const key of ["width", "height"])
    if (ours[key] !== theirs[key]) return `${key} ${ours[key]}, not ${theirs[key]}`;
  if (ours.components.length !== theirs.components.length) return `${ours.components.length} components`;
  for (const [c, expected] of theirs.components.entries()) {
    const found = ours.components[c];
    for (const key of ["id", "horizontalSampling", "verticalSampling", "blocksWide", "blocksHigh"])
      if (found[key] !== expected[key]) return `component ${c}: ${key} ${found[key]}, not ${expected[key]}`;
    // libjpeg has no table for a component without a scan.
    const keys = expected.quantization.every((byte) => byte === 0)
      ? ["coefficients"]
      : ["quantization", "coefficients"];
    for (const key of keys) {
      const { buffer, byteOffset, byteLength } = found[key];
      if (Buffer.compare(Buffer.from(buffer, byteOffset, byteLength), expected[key]) !== 0)
        return `component ${c}: its ${key}`;
    }
  }
  return undefined;
}

async function comparePixels(bytes) {
  const planes = attempt(() => pixelsOf(bytes));
  const { data, info, message } = await sharp(bytes, { failOn: "none", limitInputPixels: LIMITS.maxPixels })
    .autoOrient()
    .toColourspace("srgb")
    .raw()
    .toBuffer({ resolveWithObject: true })
    .catch((error) => ({ message: error.message }));
  if (data === undefined)
    return {
      outcome: typeof planes === "string" ? "both refuse" : "ours alone",
      reason: `sharp: ${message.split("\n")[0]}`,
    };
  if (typeof planes === "string") return { outcome: "refused", reason: planes };
  if (planes.colorSpace === "cmyk" || planes.colorSpace === "ycck")
    return { outcome: "not compared", reason: "four components, which sharp converts with its own profile" };
  if (planes.width !== info.width || planes.height !== info.height)
    return { outcome: "differ", reason: "another size" };
  const area = info.width * info.height;
  let largest = 0;
  for (let at = 0; at < area; at++)
    for (let c = 0; c < 3; c++) {
      const theirs = data[at * info.channels + (info.channels < 3 ? 0 : c)];
      largest = Math.max(largest, Math.abs(planes.out[c * area + at] - theirs));
    }
  return largest <= MOST_LEVELS ? { outcome: "identical" } : { outcome: "differ", reason: "pixels" };
}

/** The pixels at full size, upright, as red, green and blue. */
function pixelsOf(bytes) {
  const { width, height, orientation = 1, colorSpace } = readHeader(bytes, { ...LIMITS, tolerant: true });
  const size = orientation >= 5 ? { width: height, height: width } : { width, height };
  const out = new Float32Array(3 * width * height);
  const plain = { resample: "bilinear", rescale: 1, mean: [0, 0, 0], std: [1, 1, 1], channels: "rgb" };
  fillPlanes(bytes, plain, { channels: 3, ...size }, out, { ...LIMITS, tolerant: true });
  return { ...size, out, colorSpace };
}
