/** The little of the WebAssembly interface that is used, which neither ES2023 nor Node's types declare. */
interface WebAssemblyInterface {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports?: object) => { exports: unknown };
}

/**
 * Instantiates a compiled program that imports nothing. At once rather than in a promise, since the codec's functions
 * are synchronous.
 * @param base64 its bytes, as `scripts/wasm.mjs` writes them.
 */
export function instantiate<Exports>(base64: string): Exports {
  const { Module, Instance } = (globalThis as unknown as { WebAssembly: WebAssemblyInterface }).WebAssembly;
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return new Instance(new Module(bytes)).exports as Exports;
}
