import { fileURLToPath } from "node:url";

/** The trained network that comes with this package, as seen from dist/data. */
export const SHIPPED_MODEL = fileURLToPath(new URL("../../models/mnist-resnet.onnx", import.meta.url));
