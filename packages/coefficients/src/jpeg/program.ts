/** WebAssembly programs: each is compiled once, and one instance of it is kept between calls. */
import { JpegError } from "./errors.js";

/** A running program with its memory, which {@link reserve} can make larger. */
export interface Instance<Exports> {
  /** Names the program in errors. */
  name: string;
  exports: Exports & { memory: WebAssembly.Memory };
  /** The whole memory, by element type. */
  u8: Uint8Array;
  u32: Uint32Array;
  i16: Int16Array;
  f32: Float32Array;
  f64: Float64Array;
}

export interface Program<Exports> {
  /** An instance. Its memory holds whatever the last use left there. */
  take(): Instance<Exports>;
  /** Keeps an instance for the next `take`. One whose memory has grown beyond the program's limit is dropped. */
  giveBack(instance: Instance<Exports>): void;
}

const PAGE = 65536;

/** The instances that are kept, at most one of each program. */
const kept = new Map<object, Instance<unknown>>();

/**
 * @param name - names the program in errors
 * @param base64 - the compiled module, from `generated/`
 * @param keptBytes - the largest memory to keep between calls
 */
export function program<Exports>(name: string, base64: string, keptBytes: number): Program<Exports> {
  let module: WebAssembly.Module | undefined;
  const self: Program<Exports> = {
    take() {
      const instance = kept.get(self);
      kept.delete(self);
      if (instance !== undefined) return instance as Instance<Exports>;
      module ??= new WebAssembly.Module(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)));
      const exports = new WebAssembly.Instance(module).exports as Instance<Exports>["exports"];
      return { name, exports, ...views(exports.memory) };
    },
    giveBack(instance) {
      if (instance.u8.length <= keptBytes) kept.set(self, instance);
    },
  };
  return self;
}

const views = ({ buffer }: WebAssembly.Memory) => ({
  u8: new Uint8Array(buffer),
  u32: new Uint32Array(buffer),
  i16: new Int16Array(buffer),
  f32: new Float32Array(buffer),
  f64: new Float64Array(buffer),
});

/**
 * Makes an instance's memory at least `bytes` long. Its arrays are new ones afterwards.
 * @throws {JpegError} where the machine has no more memory
 */
export function reserve(instance: Instance<unknown>, bytes: number): void {
  const lacking = bytes - instance.u8.length;
  if (lacking <= 0) return;
  const { memory } = instance.exports;
  try {
    memory.grow(Math.ceil(lacking / PAGE));
  } catch {
    throw new JpegError(`no memory for the ${instance.name}, which needs ${bytes} bytes`, 0);
  }
  Object.assign(instance, views(memory));
}

/**
 * Frees the memory that is kept from one call to the next: at most 4 MiB for reading JPEG files, 1 MiB for writing them,
 * and 8 MiB for making a network's planes of them. The next call makes it anew in about a tenth of a millisecond.
 */
export function releasePool(): void {
  kept.clear();
}
