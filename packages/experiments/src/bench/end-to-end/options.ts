export const SECTIONS = [
  "network",
  "single",
  "large",
  "cores",
  "bytes",
  "folder",
  "mnist",
  "memory",
  "pixels",
] as const;
export type Section = (typeof SECTIONS)[number];

export interface Flags {
  only: Section[];
  files: number;
  rounds: number;
  threads?: number;
  json?: boolean;
}
