import { assert, assertEquals } from "@std/assert";
import { parsePage } from "./docs/page.ts";
import { Checkout } from "./docs/run_page.ts";
import { hasShape, outputLines, renewed } from "./docs/shape.ts";

const ROOT = new URL("../", import.meta.url);
const DOCS = new URL("docs/", ROOT);
const PAGES = [...Deno.readDirSync(DOCS)].map(({ name }) => name)
  .filter((name) => name.endsWith(".md")).sort()
  .map((name) => parsePage(`docs/${name}`, Deno.readTextFileSync(new URL(name, DOCS))));

Deno.test("the pages of docs/ do what they show, command by command", async (t) => {
  await using checkout = await Checkout.make();
  for (const page of PAGES.filter(({ steps }) => steps.length > 0)) {
    await t.step(page.path, async () => {
      for await (const { command, found, passed } of checkout.run(page)) {
        const shown = command.output?.join("\n") ?? "(it ends well)";
        const told = `$ ${command.run}\nprints\n${found.join("\n")}\nand the page shows\n${shown}`;
        assert(passed, told);
      }
    });
  }
});

Deno.test("the programs of docs/ type-check, and each has a name of its own", async () => {
  const programs = PAGES.flatMap(({ steps }) => steps).filter((step) => step.kind === "program");
  const names = programs.map(({ name }) => name);
  assertEquals(new Set(names).size, names.length);
  const folder = await Deno.makeTempDir();
  try {
    for (const { name, text } of programs) {
      const elsewhere = text.replaceAll("FREE_PORT", "8000").replaceAll(
        '"./mod.ts"',
        `"${new URL("mod.ts", ROOT)}"`,
      );
      await Deno.writeTextFile(`${folder}/${name}`, elsewhere);
    }
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--no-lock", ...names.filter((name) => name.endsWith(".ts"))],
      cwd: folder,
      env: { NO_COLOR: "1" },
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the manual's first page links every page, and every link has its page", () => {
  const linked = (text: string) =>
    [...text.matchAll(/\]\(([\w./-]+)(?:#[\w-]*)?\)/g)].map(([, target = ""]) => target);
  const index = linked(Deno.readTextFileSync(new URL("README.md", DOCS)));
  assertEquals(
    PAGES.map(({ path }) => path.replace("docs/", "")).filter((name) =>
      name !== "README.md" && !index.includes(name)
    ),
    [],
  );
  const texts = [...PAGES.map(({ path }) => path), "README.md", "CONTRIBUTING.md"];
  const dead = texts.flatMap((path) =>
    linked(Deno.readTextFileSync(new URL(path, ROOT)))
      .map((target) => new URL(target, new URL(path, ROOT)))
      .filter((target) => !exists(target)).map((target) => `${path}: ${target.pathname}`)
  );
  assertEquals(dead, []);
});

Deno.test("no page of docs/ is longer than a few screens", () => {
  for (const { path } of PAGES) {
    const lines = Deno.readTextFileSync(new URL(path, ROOT)).split("\n").length;
    assert(lines <= 200, `${path} has ${lines} lines`);
  }
});

function exists(path: URL): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

Deno.test("parsePage() finds programs, commands, their output, and what differs in a test", () => {
  const page = parsePage(
    "docs/x.md",
    [
      ...["<!-- test: instead of `--steps 100` run `--steps 1` -->", "```ts ignore", "// a.ts"],
      ...[
        "let a;",
        "```",
        "<!-- test: words vary -->",
        "```console",
        "$ deno run a.ts --steps 100",
      ],
      ...["1", "$ deno run b.ts \\", "    --last", "```", "<!-- test: the hub's a/b is c/d -->"],
      ...["```sh", "# not this", "deno task x", "```", "```json", "{}", "```"],
    ].join("\n"),
  );
  assertEquals(page.hub, new Map([["a/b", "c/d"]]));
  assertEquals(
    page.steps.map((step) =>
      step.kind === "program" ? [step.name, step.text] : [step.run, step.output, step.wordsVary]
    ),
    [
      ["a.ts", "// a.ts\nlet a;\n"],
      ["deno run a.ts --steps 1", ["1"], true],
      ["deno run b.ts \\\n    --last", [], true],
      ["deno task x", undefined, false],
    ],
  );
});

Deno.test("hasShape() compares lines without their numbers", () => {
  const shown = ["Seed: 7", "...", "7   99.2%", 'Model: {"d_model":...', "took 1.2 s"];
  const found = ["Seed: 123", "a", "b", "3  4%", 'Model: {"d_model":32}', "took 900 ms"];
  assertEquals(hasShape(found, shown), true);
  assertEquals(renewed(found, shown), [
    ...["Seed: 123", "...", "3  4%", 'Model: {"d_model":...', "took 900 ms"],
  ]);
  assertEquals(hasShape(found.toSpliced(5, 1), shown), false);
  assertEquals(hasShape([...found, "more"], shown), false);
  assertEquals(hasShape(["Device: a GPU"], ["Device: CPU, 2 threads"]), true);
  assertEquals(
    hasShape(["other words", "5 in 3 s"], ["words", "and more", "1 in 1 ms"], true),
    true,
  );
  assertEquals(
    hasShape(["other words", "5 on 3 s"], ["words", "and more", "1 in 1 ms"], true),
    false,
  );
  assertEquals(outputLines("\x1b[1mTask\x1b[0m x\na \n\n"), ["a"]);
});
