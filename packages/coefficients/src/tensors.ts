/** The transform's tensors, by the letters of the paper and its notebook. */

export { B, C, Ci, D, D_n, J, Ji, S, Si, Z } from "./transform/tensors.js";
