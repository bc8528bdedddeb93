/** AssemblyScript's names of numbers, for the layouts in assembly/ that both sides of WebAssembly import. */
type u32 = number;
type usize = number;
