/**
 * A page of docs/, as far as it can be run.
 *
 *     ```ts ignore      a program, whose first line, a comment, is its file's name; "ignore", as it runs beside mod.ts
 *     ```js ignore      the same for Node
 *     ```ts             a program without a name, which imports "../mod.ts": it is run by itself
 *     ```console        what a terminal shows: commands after "$ ", and below each what it prints
 *     ```sh             commands alone
 *
 * Other blocks are for the eye. What differs in a test, a comment says that no reader sees:
 *
 *     <!-- test: instead of `A` run `B` -->          from here on, in programs and commands
 *                                                    (REPOSITORY in B is where the repository is)
 *     <!-- test: the hub's NAME is FOLDER -->        the hub is one on this machine, which has that model
 *     <!-- test: words vary -->                      of the next block's output only lines with numbers are compared
 *     <!-- test: prints other lines -->              the next block's output is none that a test can have: it ends well
 */

/** A file that the page shows. */
export interface Program {
  readonly kind: "program";
  readonly name: string;
  readonly text: string;
}

/** A line that somebody types. */
export interface Command {
  readonly kind: "command";
  /** As the page shows it, and as a test runs it. */
  readonly shown: string;
  readonly run: string;
  /** Lines that it prints, as the page shows them; undefined where it shows none, or a test has others. */
  readonly output: readonly string[] | undefined;
  /** Whether their words depend on more than the page says. */
  readonly wordsVary: boolean;
  /** Lines of the page, counted from 0, which hold the output. */
  readonly from: number;
  readonly to: number;
}

/** What is run, in order. */
export interface Page {
  readonly path: string;
  readonly steps: readonly (Program | Command)[];
  /** Folders by the names of the hub's models that the page takes. */
  readonly hub: ReadonlyMap<string, string>;
}

/** @throws {SyntaxError} If a comment for tests says what no test understands, or a program has no name. */
export function parsePage(path: string, text: string): Page {
  const lines = text.split("\n");
  const steps: (Program | Command)[] = [];
  const hub = new Map<string, string>();
  const replaced: [string, string][] = [];
  let wordsVary = false, printsOthers = false;
  const asRun = (part: string) =>
    replaced.reduce((result, [shown, run]) => result.replaceAll(shown, run), part);
  const command = (
    typed: Pick<Command, "shown" | "from" | "to"> & Partial<Pick<Command, "output" | "wordsVary">>,
  ): Command => ({
    ...{ kind: "command", run: asRun(typed.shown), output: undefined, wordsVary: false },
    ...typed,
  });
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    const comment = /^<!-- test: (.*) -->$/.exec(line)?.[1];
    if (comment !== undefined) {
      const instead = /^instead of `(.*)` run `(.*)`$/.exec(comment);
      const model = /^the hub's (\S+) is (\S+)$/.exec(comment);
      if (instead !== null) replaced.push([instead[1] ?? "", instead[2] ?? ""]);
      else if (model !== null) hub.set(model[1] ?? "", model[2] ?? "");
      else if (comment === "words vary") wordsVary = true;
      else if (comment === "prints other lines") printsOthers = true;
      else throw new SyntaxError(`Cannot test ${path}:${at + 1}: "${comment}" is unknown`);
      continue;
    }
    const language = /^```(\w+)/.exec(line)?.[1];
    if (language === undefined) continue;
    const from = at + 1;
    at = lines.indexOf("```", from);
    if (at < 0) throw new SyntaxError(`Cannot test ${path}:${from}: the block does not end`);
    const block = lines.slice(from, at);
    if (line === "```ts") {
      const name = `${path.replace(/^.*\/|\.md$/g, "")}_${from}.ts`;
      steps.push(
        { kind: "program", name, text: asRun(block.join("\n").replaceAll('"../', '"./')) },
        command({ shown: `deno run -A ${name}`, from, to: from }),
      );
    } else if (language === "ts" || language === "js") {
      const name = /^\/\/ (\S+\.m?[jt]s)$/.exec(block[0] ?? "")?.[1];
      if (name === undefined) {
        throw new SyntaxError(`Cannot test ${path}:${from}: the program's first line is no name`);
      }
      steps.push({ kind: "program", name, text: asRun(`${block.join("\n")}\n`) });
    } else if (language === "sh" || language === "console") {
      for (const { output, ...typed } of commands(block, from, language === "console")) {
        const isCompared = language === "console" && !printsOthers;
        steps.push(command({ ...typed, wordsVary, output: isCompared ? output : undefined }));
      }
    }
    wordsVary = printsOthers = false;
  }
  return { path, steps, hub };
}

type Shown = Pick<Command, "shown" | "from" | "to"> & { readonly output: readonly string[] };

/** The commands of a block that begins at a line of the page; a backslash goes on on the next line. */
function commands(block: readonly string[], first: number, isShown: boolean): Shown[] {
  const found: { shown: string; output: string[]; from: number; to: number }[] = [];
  let continues = false;
  block.forEach((line, index) => {
    const last = found.at(-1);
    const at = first + index;
    if (last !== undefined && continues) {
      last.shown += `\n${line}`;
      last.from = last.to = at + 1;
    } else if (!isShown || line.startsWith("$ ")) {
      const shown = isShown ? line.slice(2) : line;
      found.push({ shown, output: [], from: at + 1, to: at + 1 });
    } else if (last !== undefined) {
      last.output.push(line);
      last.to = at + 1;
      return;
    }
    continues = line.endsWith("\\");
  });
  return found.filter(({ shown }) => shown.trim() !== "" && !shown.startsWith("#"));
}
