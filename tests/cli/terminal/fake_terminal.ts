import type { ScreenSize, Terminal } from "../../../src/cli/terminal/terminal.ts";

/** Collects what a command writes, and gives it what it reads. */
export class FakeTerminal implements Terminal {
  stdout = "";
  stderr = "";
  readonly rewrites: boolean;
  readonly colors: boolean;
  readonly stdinIsTerminal: boolean;
  readonly #stdin: Uint8Array<ArrayBuffer>;
  readonly #chunk: number;
  readonly #screen: ScreenSize | undefined;

  /**
   * Without `stdin`, stdin is a terminal; with `screen`, stdout is one of that size. `chunk`: bytes that stdin gives at
   * once.
   */
  constructor(
    options: {
      stdin?: Uint8Array<ArrayBuffer> | string;
      rewrites?: boolean;
      colors?: boolean;
      screen?: ScreenSize;
      chunk?: number;
    } = {},
  ) {
    const { stdin } = options;
    this.#chunk = options.chunk ?? 5;
    this.#screen = options.screen;
    this.colors = options.colors ?? false;
    this.rewrites = options.rewrites ?? false;
    this.stdinIsTerminal = stdin === undefined;
    this.#stdin = typeof stdin === "string"
      ? new TextEncoder().encode(stdin)
      : stdin ?? new Uint8Array();
  }

  write(text: string): void {
    this.stdout += text;
  }

  writeError(text: string): void {
    this.stderr += text;
  }

  screen(): ScreenSize | undefined {
    return this.#screen;
  }

  readStdin(): Promise<Uint8Array<ArrayBuffer>> {
    if (this.stdinIsTerminal) throw new Error("stdin was read, and it is a terminal");
    return Promise.resolve(this.#stdin);
  }

  async *stdin(): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    const bytes = await this.readStdin();
    const chunk = this.#chunk;
    for (let at = 0; at < bytes.length; at += chunk) yield bytes.slice(at, at + chunk);
  }
}
