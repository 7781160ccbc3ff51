// deno-lint-ignore-file no-console -- what commands say is their result.
/** `--help` of tools: the comment at the head of their file. */

/** Prints what a tool's file says of it and ends the process, where the command line asks for help. */
export function answerHelp(
  file: string | URL,
  args: readonly string[] = Deno.args,
): void {
  if (!args.includes("--help") && !args.includes("-h")) return;
  console.log(headComment(Deno.readTextFileSync(new URL(file))));
  Deno.exit(0);
}

/** The text of a source's first documentation comment. */
export function headComment(source: string): string {
  const [, text = ""] = source.match(/\/\*\*([^]*?)\*\//) ?? [];
  return text.split("\n").map((line) => line.replace(/^ ?\*? ?/, "").trimEnd()).join("\n").trim();
}
