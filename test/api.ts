/** The public names of several packages together, as tests of the built packages use them. */
export * from "@jpeg-domain/conversion/onnx";
export { labelledPlanes, loadSplit } from "@jpeg-domain/experiments";
export * from "jpeg-domain";
