import type { ScreenSize, Terminal } from "../../../src/cli/terminal/terminal.ts";

/** Bytes that a stream gives at once. */
const CHUNK = 5;

/** Collects what a command writes, and gives it what it reads. */
export class FakeTerminal implements Terminal {
  stdout = "";
  stderr = "";
  readonly rewrites: boolean;
  readonly colors: boolean;
  readonly stdinIsTerminal: boolean;
  readonly #stdin: Uint8Array<ArrayBuffer>;
  readonly #screen: ScreenSize | undefined;

  /** Without `stdin`, stdin is a terminal; with `screen`, stdout is one of that size. */
  constructor(
    options: {
      stdin?: Uint8Array<ArrayBuffer> | string;
      rewrites?: boolean;
      colors?: boolean;
      screen?: ScreenSize;
    } = {},
  ) {
    const { stdin } = options;
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
    for (let at = 0; at < bytes.length; at += CHUNK) yield bytes.slice(at, at + CHUNK);
  }
}
