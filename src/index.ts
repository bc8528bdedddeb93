export { JpegDomainError } from "./errors.js";
