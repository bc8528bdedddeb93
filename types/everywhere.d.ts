/** What pages and Node have alike, as far as the packages without a Node API use it. Nothing else is known to them. */
declare function atob(base64: string): string;

declare class TextDecoder {
  constructor(encoding?: string, options?: { fatal?: boolean });
  decode(bytes: Uint8Array): string;
}

declare class TextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>;
}
