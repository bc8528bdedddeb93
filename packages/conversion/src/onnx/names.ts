/** The names in use in a graph, and new ones. */
export class Names {
  private readonly taken: Set<string>;
  /** The number to try next for a hint: otherwise a thousand nodes with one hint would try half a million names. */
  private readonly next = new Map<string, number>();

  constructor(taken: Iterable<string> = []) {
    this.taken = new Set(taken);
  }

  has(name: string): boolean {
    return this.taken.has(name);
  }

  take(name: string): void {
    this.taken.add(name);
  }

  /** A name like `hint` that nothing has yet. */
  unique(hint: string): string {
    let name = hint;
    if (this.taken.has(name)) {
      let i = this.next.get(hint) ?? 1;
      while (this.taken.has(`${hint}_${i}`)) i++;
      this.next.set(hint, i + 1);
      name = `${hint}_${i}`;
    }
    this.taken.add(name);
    return name;
  }
}
