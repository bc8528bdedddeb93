/**
 * Coefficients → the samples of one component:
 *
 *   sample[i j] = byte(128 + Σ_α Σ_β a(i, α) a(j, β) q[α β] coefficient[α β]),   α, β < min(N, 8)
 *   byte(x)     = min(255, max(0, ⌊x + 1/2⌋))
 *
 * with the table q and the basis a of N points (../basis.ts; 8 at full size, ../scaling.ts). One thing is left out: a
 * damaged file's wild numbers overflow the 16 bits of libjpeg-turbo, which ../wasm/assembly/inverse-eight.ts repeats.
 */
import { type JpegComponent, ZIGZAG } from "@jpeg-domain/coefficients";
import { BASES } from "../basis.js";
import type { ScaledComponent } from "../scaling.js";

export const byte = (value: number) => Math.min(255, Math.max(0, Math.floor(value + 0.5)));

/** @returns `[height, width]` of `scaled` */
export function inverse(component: JpegComponent, scaled: ScaledComponent, kept: number): Float64Array {
  const { points, width, height } = scaled;
  const { blocksWide, quantization, coefficients } = component;
  const basis = BASES[points] as Float64Array[];
  const result = new Float64Array(width * height);
  const values = new Float64Array(64);
  for (let top = 0; top < height; top += points)
    for (let left = 0; left < width; left += points) {
      const block = ((top / points) * blocksWide + left / points) * kept;
      for (let k = 0; k < kept; k++)
        values[ZIGZAG[k] as number] = (coefficients[block + k] as number) * (quantization[k] as number);
      for (let i = 0; i < points && top + i < height; i++)
        for (let j = 0; j < points && left + j < width; j++) {
          let sum = 128;
          basis[i]?.forEach((a, alpha) => {
            basis[j]?.forEach((b, beta) => {
              sum += a * b * (values[8 * alpha + beta] as number);
            });
          });
          result[(top + i) * width + left + j] = byte(sum);
        }
    }
  return result;
}
