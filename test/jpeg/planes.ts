import { encodeJpeg } from "@jpeg-domain/coefficients";

/** A grayscale file of waves, edges and some noise, different for each `kind`; needs no other programs. */
export function encoded(width: number, height: number, kind: number): Uint8Array {
  let state = 1 + kind;
  const plane = Float32Array.from({ length: width * height }, (_, at) => {
    const [x, y] = [at % width, Math.floor(at / width)];
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    const waves = 90 * Math.sin(x / (9 + kind) + y / 17 + 2 * kind);
    const squares = 30 * (((x >> 3) ^ (y >> 3)) & 1);
    return Math.min(255, Math.max(0, 120 + waves + squares + (20 * state) / 0x7fffffff));
  });
  return encodeJpeg({ width, height, colorSpace: "grayscale", planes: [plane] }, { quality: 85 });
}
