/** What sibling packages use of this one. Not for others: it may change in any release. */

export { ADAM } from "./train/adam.js";
export { SCHEDULE_NAMES } from "./train/loop.js";
export { openTrainer, type Trainer } from "./train/trainer.js";
