/** AssemblyScript's number types, for the constants in assembly/ that TypeScript imports too. */
type u32 = number;
type usize = number;
