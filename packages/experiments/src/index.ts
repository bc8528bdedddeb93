/**
 * The notebook's data: MNIST, and sets stored as it is.
 *
 * Everything else in this package is internal and may change in any release.
 */
// biome-ignore-all assist/source/organizeImports: in the order of what a reader looks for

// Data: MNIST, and sets in the same format.
export { IdxError } from "./data/idx.js";
export {
  type ImageSet,
  type LabelledImages,
  labelledPlanes,
  loadImageSet,
  loadSplit,
  planes,
  type Selection,
  type Split,
} from "./data/mnist.js";
