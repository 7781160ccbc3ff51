/** Where a command reads and writes: the process's own streams, or a test's. */

/** Size of a terminal, in characters. */
export interface ScreenSize {
  /** Characters in a line. */
  readonly columns: number;
  /** Lines. */
  readonly rows: number;
}

/** A command's surroundings. */
export interface Terminal {
  /** Writes to stdout: the result, and nothing but the result. */
  write(text: string): void;
  /** Writes to stderr: everything else. */
  writeError(text: string): void;
  /** Whether stderr is a terminal, on which a line can be rewritten. */
  readonly rewrites: boolean;
  /** Whether what is written to stdout may be colored: it is a terminal, and NO_COLOR is not set. */
  readonly colors: boolean;
  /** Size of the terminal that stdout is, now; undefined where it is none. */
  screen(): ScreenSize | undefined;
  /** Whether stdin is a terminal: then nothing is read from it. */
  readonly stdinIsTerminal: boolean;
  /** Reads stdin to its end. */
  readStdin(): Promise<Uint8Array>;
  /** Stdin as it comes: nothing is read before it is asked for. */
  stdin(): AsyncIterable<Uint8Array<ArrayBuffer>>;
}

/** Bytes of stdin that are read at once: what is made of so few is soon collected again. */
const PIPE_BYTES = 2 ** 10;

/** The process's own streams. */
export function processTerminal(): Terminal {
  const encoder = new TextEncoder();
  return {
    write: (text) => writeAll(Deno.stdout, encoder.encode(text)),
    writeError(text) {
      try {
        writeAll(Deno.stderr, encoder.encode(text));
      } catch (error) {
        // Nobody listens any more: that does not make the result wrong.
        if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
      }
    },
    rewrites: Deno.stderr.isTerminal(),
    colors: Deno.stdout.isTerminal() && !Deno.noColor,
    screen: () => Deno.stdout.isTerminal() ? Deno.consoleSize() : undefined,
    stdinIsTerminal: Deno.stdin.isTerminal(),
    readStdin: async () => new Uint8Array(await new Response(Deno.stdin.readable).arrayBuffer()),
    stdin: readStdinAsItComes,
  };
}

async function* readStdinAsItComes(): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  const buffer = new Uint8Array(PIPE_BYTES);
  for (;;) {
    const count = await Deno.stdin.read(buffer);
    if (count === null) return;
    yield buffer.slice(0, count);
  }
}

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length;) {
    try {
      written += stream.writeSync(bytes.subarray(written));
    } catch (error) {
      // The other side may have made the pipe non-blocking, and it is full now.
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}
