/** Building ONNX graphs. Graphs are read and written by the package's main entry. */

export type { PlainAttribute } from "./onnx/builder.js";
export { float, GraphBuilder } from "./onnx/builder.js";
export { float32, int64 } from "./onnx/graph.js";
