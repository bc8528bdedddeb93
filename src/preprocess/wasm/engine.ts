import { wasm } from "./generated/planes.js";

/** The functions of assembly/planes.ts. */
interface Exports {
  memory: WebAssembly.Memory;
  transform(component: number, row: number): void;
  advance(limit: number): void;
}

/** One instance of the pixel program, and its whole memory; renewed by {@link reserve}. */
export interface PixelEngine extends Pick<Exports, "transform" | "advance"> {
  memory: WebAssembly.Memory;
  u32: Uint32Array;
  i16: Int16Array;
  f32: Float32Array;
  f64: Float64Array;
}

const PAGE = 65536;
/** Memory that has grown beyond this is not kept for the next image. */
const POOL_BYTES = 8 * 2 ** 20;

let module: WebAssembly.Module | undefined;
/** Held weakly: the garbage collector frees it where no call comes. */
let idle: WeakRef<PixelEngine> | undefined;

/** An instance whose memory holds what its last use left there. */
export function takeEngine(): PixelEngine {
  const engine = idle?.deref() ?? instantiate();
  idle = undefined;
  return engine;
}

/** Makes the engine's memory at least `bytes` long. */
export function reserve(engine: PixelEngine, bytes: number): void {
  const { memory } = engine;
  const missing = bytes - memory.buffer.byteLength;
  if (missing <= 0) return;
  memory.grow(Math.ceil(missing / PAGE));
  Object.assign(engine, views(memory));
}

/** Keeps an instance for the next image. */
export function giveBack(engine: PixelEngine): void {
  if (engine.memory.buffer.byteLength <= POOL_BYTES) idle = new WeakRef(engine);
}

function instantiate(): PixelEngine {
  module ??= new WebAssembly.Module(Uint8Array.from(atob(wasm), (char) => char.charCodeAt(0)));
  const { memory, transform, advance } = new WebAssembly.Instance(module, {}).exports as unknown as Exports;
  return { memory, transform, advance, ...views(memory) };
}

const views = ({ buffer }: WebAssembly.Memory) => ({
  u32: new Uint32Array(buffer),
  i16: new Int16Array(buffer),
  f32: new Float32Array(buffer),
  f64: new Float64Array(buffer),
});

const bases = new Map<number, Int16Array>();

/** `a(i, α)` in Q15, (a0, a2), (a4, a6), (a1, a3), (a5, a7) for each i of the first half. */
export function basisFor(points: number): Int16Array {
  const known = bases.get(points);
  if (known !== undefined) return known;
  const order = [0, 2, 4, 6, 1, 3, 5, 7];
  const basis = Int16Array.from({ length: 8 * Math.ceil(points / 2) }, (_, at) => {
    const i = at >> 3;
    const alpha = order[at & 7] as number;
    if (alpha >= points) return 0;
    const cosine = Math.cos(((2 * i + 1) * alpha * Math.PI) / (2 * points));
    return Math.round((alpha === 0 ? Math.SQRT1_2 / 2 : 0.5) * cosine * 2 ** 15);
  });
  bases.set(points, basis);
  return basis;
}
