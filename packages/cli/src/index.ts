/**
 * Neural networks that run straight on JPEG files: the public API of the packages for coefficients, conversion and Node.
 */
export * from "@jpeg-domain/coefficients";
export * from "@jpeg-domain/conversion";
export * from "@jpeg-domain/node";
