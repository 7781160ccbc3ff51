/** The form that every WGSL file has, and its agreement with what src/ops declares. Needs no GPU. */

import { assertEquals } from "@std/assert";
import { MAX_STORAGE_BUFFERS } from "../src/gpu/kernel.ts";
import { ALL_KERNELS } from "../src/ops/kernels.ts";
import { KERNEL_CHECKS } from "../src/checks/kernel_checks.ts";
import { WHOLE_STEP_KERNELS } from "./whole_step_kernels.ts";

const ROOT = new URL("../", import.meta.url);
/** Texts that go before kernels, and what each must not have. */
const PRELUDES: Readonly<Record<string, RegExp>> = {
  ...Object.fromEntries(
    [
      ...["_angle", "_chains", "_channels", "_conv", "_linear", "_mamba3_skip", "_mamba3_step"],
      ...["_math", "_matvec", "_matvec_rows"],
      ...["_s4", "_s4_series", "_s4_system", "_scan", "_scan_step", "_scan_sums"],
      ...["_ssd_bwd", "_states", "_tile", "_weight"],
    ].map((name) => [name, /@compute|\boverride\b|@binding|@group|\bvar</g]),
  ),
  ...Object.fromEntries(
    [
      "_exponentials",
      "_grid",
      "_matmul",
      "_ssd",
      "_step",
      "_step_blocks",
      "_step_ends",
      "_step_product",
      "_step_sample",
      "_threshold",
    ].map((
      name,
    ) => [name, /@compute|\boverride\b|@binding|@group/g]),
  ),
};
const MAX_COLUMNS = 120;

type Declaration = Pick<
  (typeof ALL_KERNELS)[number],
  "name" | "source" | "bindings" | "params" | "overrides"
>;

/** Files of WebGPU's kernels; those of the CPU, in a folder of their own, have another form. */
function kernelFiles(): string[] {
  return filesUnder("kernels").filter((path) => !path.startsWith("kernels/cpu/"));
}

/** Texts of kernels/*.wgsl, by name without the ending. */
function readKernels(): Map<string, string> {
  const texts = new Map<string, string>();
  for (const path of kernelFiles().toSorted()) {
    const name = path.slice("kernels/".length).replace(/\.wgsl$/, "");
    texts.set(name, Deno.readTextFileSync(new URL(path, ROOT)));
  }
  return texts;
}

/** Names of all files under a directory, relative to the root; none where it does not exist. */
function filesUnder(directory: string): string[] {
  try {
    return [...Deno.readDirSync(new URL(`${directory}/`, ROOT))].flatMap((entry) => {
      const path = `${directory}/${entry.name}`;
      return entry.isDirectory ? filesUnder(path) : [path];
    });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** The same lines without comments. WGSL has no strings, so `//` always starts one. */
function codeLines(text: string): string[] {
  return text.split("\n").map((line) => line.replace(/\/\/.*$/, "").trimEnd());
}

/** Spaces, tabs, width and the header comment. */
function textProblems(name: string, text: string): string[] {
  const problems: string[] = [];
  if (!text.startsWith(`// ${name}: `)) problems.push(`1: expected "// ${name}: ..." first`);
  if (!text.endsWith("\n") || text.endsWith("\n\n")) problems.push("must end with one newline");
  if (text.includes("/*")) problems.push("block comments are not used: start each line with //");
  text.split("\n").forEach((line, index) => {
    if (line.includes("\t")) problems.push(`${index + 1}: tab`);
    if (line.includes("\r")) problems.push(`${index + 1}: carriage return`);
    if (/ $/.test(line)) problems.push(`${index + 1}: trailing space`);
    if (line.length > MAX_COLUMNS) {
      problems.push(`${index + 1}: ${line.length} columns, at most ${MAX_COLUMNS}`);
    }
  });
  return problems;
}

/** Two spaces a brace; a statement's further lines are indented by more than its first. */
function indentationProblems(text: string): string[] {
  const problems: string[] = [];
  let braces = 0;
  let parentheses = 0;
  let isContinued = false;
  codeLines(text).forEach((line, index) => {
    const code = line.trim();
    if (code === "") return;
    const indentation = line.length - line.trimStart().length;
    const expected = 2 * (braces - (/^\}+/.exec(code)?.[0].length ?? 0));
    if (isContinued) {
      const closes = /^[)\]>]/.test(code) && indentation === expected;
      if (indentation <= expected && !closes) {
        problems.push(`${index + 1}: continued line indented by ${indentation}, as its start`);
      }
    } else if (indentation !== expected) {
      problems.push(`${index + 1}: indented by ${indentation}, expected ${expected}`);
    }
    for (const character of code) {
      if (character === "{") braces++;
      if (character === "}") braces--;
      if (character === "(" || character === "[") parentheses++;
      if (character === ")" || character === "]") parentheses--;
    }
    const isAttribute = /^(@\w+\s*(\([^()]*\))?\s*)+$/.test(code);
    isContinued = parentheses > 0 || !(/[;{},:]$/.test(code) || isAttribute);
  });
  return problems;
}

const ORDER = ["override", "Params", "bindings", "workgroup memory", "helpers", "entry point"];

/** Top-level declarations come in the order of ORDER; constants and other structs stand where they help. */
function orderProblems(name: string, text: string): string[] {
  const problems: string[] = [];
  const lines = codeLines(text);
  let reached = 0;
  lines.forEach((line, index) => {
    const isEntry = line.startsWith("fn ") && lines.slice(Math.max(0, index - 2), index + 1)
      .join(" ").includes("@compute");
    const part = line.startsWith("override ")
      ? 0
      : line.startsWith("struct Params")
      ? 1
      : line.startsWith("@group")
      ? 2
      : line.startsWith("var<workgroup>")
      ? 3
      : isEntry || /^@compute.*\bfn /.test(line)
      ? 5
      : line.startsWith("fn ")
      ? 4
      : undefined;
    if (part === undefined) return;
    if (part < reached) {
      problems.push(`${index + 1}: ${ORDER[part]} after ${ORDER[reached]}`);
    }
    reached = Math.max(reached, part);
  });
  const entries = [...lines.join("\n").matchAll(/@compute\b[^{;]*?\bfn\s+(\w+)/g)];
  const names = entries.map((entry) => entry[1]);
  if (names.length !== 1 || names[0] !== name) {
    problems.push(`entry points are [${names.join(", ")}], expected [${name}]`);
  }
  return problems;
}

/** Bindings, params and overrides are those of the declaration, in its order. */
function declarationProblems(text: string, kernel: Declaration): string[] {
  const problems: string[] = [];
  const compare = (what: string, found: readonly string[], declared: readonly string[]) => {
    if (found.join("; ") !== declared.join("; ")) {
      problems.push(
        `${what} are [${found.join("; ")}], and src/ops declares [${declared.join("; ")}]`,
      );
    }
  };
  const code = codeLines(text).join("\n");

  const found = [...code.matchAll(/@binding\((\d+)\)\s*var<([^>]+)>\s*(\w+)/g)]
    .map((match) => `${match[1]} ${match[3]} ${match[2]?.replaceAll(" ", "")}`);
  const declared = Object.entries(kernel.bindings).map(([name, access], binding) =>
    `${binding} ${name} storage,${access === "read" ? "read" : "read_write"}`
  );
  const params = Object.entries(kernel.params);
  if (params.length > 0) declared.push(`${declared.length} params uniform`);
  compare("bindings", found, declared);
  text.split("\n").forEach((line, index) => {
    if (/^@group.*var<storage/.test(line) && !/; *\/\/ /.test(line)) {
      problems.push(`${index + 1}: no shape after the binding`);
    }
  });

  const struct = /\bstruct Params\s*\{([^}]*)\}/.exec(code)?.[1] ?? "";
  const members = [...struct.matchAll(/(\w+)\s*:\s*([^,\n]+)/g)];
  compare(
    "members of Params",
    members.map((match) => `${match[1]}: ${match[2]?.trim()}`),
    params.map(([name, type]) => `${name}: ${type}`),
  );

  const overrides = [...code.matchAll(/\boverride\s+(\w+)\s*(?::\s*\w+)?\s*(?:=([^;]*))?;/g)];
  const names = overrides.map((match) => match[1] ?? "");
  for (const [, name, value] of overrides) {
    if (value !== undefined && !names.some((other) => new RegExp(`\\b${other}\\b`).test(value))) {
      problems.push(`override ${name} has the default${value}: forgetting it must fail`);
    }
  }
  // An override that others determine, such as 2 * D_INNER, is not given from outside.
  const given = overrides.filter((match) => match[2] === undefined).map((match) => match[1] ?? "");
  compare("overrides", given.toSorted(), kernel.overrides.toSorted());
  return problems;
}

/**
 * A write to a component of a vector in memory may touch all of it (WGSL, Component Reference from Vector Memory View): lanes that write
 * different components would race. `vector.x` is left to those who write their own lane's.
 */
function componentProblems(text: string, declarations = text): string[] {
  const problems: string[] = [];
  const lines = codeLines(text);
  const vectors = codeLines(declarations).flatMap((line) => {
    const [, name, type] = /^(?:@group.*|var<workgroup>\s*)\b(\w+)\s*:\s*((?:array<)+)vec\d/
      .exec(line) ?? [];
    return name === undefined || type === undefined ? [] : [{ name, depth: type.length / 6 }];
  });
  lines.forEach((line, index) => {
    for (const { name, depth } of vectors) {
      const target = new RegExp(`^\\s*${name}((\\[[^=]*?\\]){${depth + 1}})\\s*[-+*/]?=(?!=)`);
      if (target.test(line)) problems.push(`${index + 1}: writes a component of ${name}`);
    }
  });
  return problems;
}

Deno.test("no kernel writes components of vectors that lanes share", () => {
  // What a prelude writes may be declared by the kernel that it goes before.
  const problems = ALL_KERNELS.flatMap(({ name, source, preludes }) => {
    const texts = { ...preludes, [name]: source };
    const all = Object.values(texts).join("");
    return Object.entries(texts).flatMap(([file, text]) =>
      componentProblems(text, all).map((problem) => `kernels/${file}.wgsl:${problem}`)
    );
  });
  assertEquals([...new Set(problems)], []);
});

Deno.test("no kernel has more storage buffers than every device gives", () => {
  const counts = ALL_KERNELS.map(({ name, bindings }) => [name, Object.keys(bindings).length]);
  assertEquals(counts.filter(([, count]) => Number(count) > MAX_STORAGE_BUFFERS), []);
  assertEquals(MAX_STORAGE_BUFFERS, 8);
});

Deno.test("every file in kernels is WGSL and has exactly one declaration in ALL_KERNELS", () => {
  const others = kernelFiles().filter((path) => !/^kernels\/\w+\.wgsl$/.test(path));
  assertEquals(others, []);
  const files = [...readKernels().keys()].filter((name) => !(name in PRELUDES)).toSorted();
  assertEquals(ALL_KERNELS.map((kernel) => kernel.name).toSorted(), files);
});

Deno.test("every kernel's declaration holds the text of its own file", () => {
  const texts = readKernels();
  for (const kernel of ALL_KERNELS) {
    assertEquals(kernel.source === texts.get(kernel.name), true, kernel.name);
  }
});

Deno.test("every kernel file has a header, two-space indentation and fits the page", () => {
  const problems = [...readKernels()].flatMap(([name, text]) =>
    [...textProblems(name, text), ...indentationProblems(text)]
      .map((problem) => `kernels/${name}.wgsl:${problem}`)
  );
  assertEquals(problems, []);
});

Deno.test("every kernel file is in the agreed order and ends in one entry point of its name", () => {
  const texts = [...readKernels()].filter(([name]) => !(name in PRELUDES));
  const problems = texts.flatMap(([name, text]) =>
    orderProblems(name, text).map((problem) => `kernels/${name}.wgsl:${problem}`)
  );
  assertEquals(problems, []);
});

Deno.test("preludes have no entry point, override or binding, and only some memory", () => {
  const texts = readKernels();
  assertEquals(
    [...texts.keys()].filter((name) => name.startsWith("_")),
    Object.keys(PRELUDES).toSorted(),
  );
  for (const [name, forbidden] of Object.entries(PRELUDES)) {
    assertEquals(codeLines(texts.get(name) ?? "").join("\n").match(forbidden), null, name);
  }
});

/** Functions that a WGSL text declares. */
function functionNames(text: string): string[] {
  return [...codeLines(text).join("\n").matchAll(/\bfn (\w+)\(/g)].map((match) => match[1] ?? "");
}

Deno.test("every kernel uses the preludes that it names, and no function stands in three kernels", () => {
  const declared = new Map<string, string[]>();
  for (const { name, source, preludes } of ALL_KERNELS) {
    for (const [prelude, text] of Object.entries(preludes)) {
      if (prelude === "_math") continue;
      const after = Object.entries(preludes).filter(([other]) => other !== prelude);
      const users = [source, ...after.map(([, text]) => text)];
      const isUsed = functionNames(text).some((one) =>
        users.some((text) => text.includes(`${one}(`))
      );
      assertEquals(isUsed, true, `${name}: ${prelude}`);
    }
    for (const [found] of codeLines(source).join("\n").matchAll(/\bfn [^{]*\{[^@]*?\n\}/g)) {
      declared.set(found, [...declared.get(found) ?? [], name]);
    }
  }
  assertEquals([...declared].filter(([, names]) => names.length > 2), []);
});

Deno.test("every kernel's bindings, params and overrides equal its declaration in src/ops", () => {
  const texts = readKernels();
  const problems = ALL_KERNELS.flatMap((kernel) =>
    declarationProblems(texts.get(kernel.name) ?? "", kernel)
      .map((problem) => `kernels/${kernel.name}.wgsl: ${problem}`)
  );
  assertEquals(problems, []);
});

Deno.test("every kernel file is imported exactly once, in src/ops", () => {
  const importers = new Map<string, string[]>();
  for (const name of readKernels().keys()) importers.set(name, []);
  for (const path of filesUnder("src").filter((path) => path.endsWith(".ts"))) {
    const text = Deno.readTextFileSync(new URL(path, ROOT));
    for (const match of text.matchAll(/["'][^"'\n]*kernels\/(\w+)\.wgsl["']/g)) {
      importers.get(match[1] ?? "")?.push(path);
    }
  }
  for (const [name, paths] of importers) {
    assertEquals(paths.length, 1, `kernels/${name}.wgsl is imported by [${paths.join(", ")}]`);
    assertEquals(paths[0]?.startsWith("src/ops/"), true, `${paths[0]} imports ${name}.wgsl`);
  }
});

Deno.test("every kernel has checks in tests/ops", () => {
  const text = Deno.readTextFileSync(new URL("tests/webgpu/fused_test.ts", ROOT));
  assertEquals(WHOLE_STEP_KERNELS.filter((name) => !text.includes(name)), []);
  const checked = new Set([...KERNEL_CHECKS.map(({ kernel }) => kernel), ...WHOLE_STEP_KERNELS]);
  assertEquals(ALL_KERNELS.map(({ name }) => name).filter((name) => !checked.has(name)), []);
});

/** A kernel in good form, for the checks of the checks. */
const GOOD = `// add_fwd: y = x + SCALE * t.
override D_MODEL: u32;
override WIDE: u32 = 2u * D_MODEL;

struct Params {
  rows: u32,
  t: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;       // (rows, D_MODEL)
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // (rows, D_MODEL)
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> sums: array<f32, 64>;

fn helper(a: f32,
          b: f32) -> f32 {
  return a +
    b;
}

@compute @workgroup_size(64)
fn add_fwd(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < D_MODEL) {
    y[id.x] = helper(x[id.x], params.t);
  } else {
    y[id.x] = 0.0;
  }
}
`;

const GOOD_DECLARATION: Declaration = {
  name: "add_fwd",
  source: GOOD,
  bindings: { x: "read", y: "write" },
  params: { rows: "u32", t: "f32" },
  overrides: ["D_MODEL"],
};

function allProblems(text: string, declaration = GOOD_DECLARATION): string[] {
  return [
    ...componentProblems(text),
    ...textProblems("add_fwd", text),
    ...indentationProblems(text),
    ...orderProblems("add_fwd", text),
    ...declarationProblems(text, declaration),
  ];
}

Deno.test("the form checks accept a kernel in good form", () => {
  assertEquals(allProblems(GOOD), []);
});

Deno.test("the form checks find each fault", () => {
  const faults: [string, string][] = [
    ["// add_fwd: y", "// y"],
    ["  rows", "\trows"],
    ["sums: array<f32, 64>;", "sums: array<f32, 64>; "],
    ["// (rows, D_MODEL)\n", `// (rows, D_MODEL)${" x".repeat(40)}\n`],
    ["    y[id.x] = 0.0;", "   y[id.x] = 0.0;"],
    ["    b;", "  b;"],
    ["fn add_fwd(", "fn add_forward("],
    ["fn helper", "@compute @workgroup_size(1)\nfn helper"],
    ["override D_MODEL: u32;", "override D_MODEL: u32 = 768u;"],
    ["override WIDE: u32 = 2u * D_MODEL;", "override WIDE: u32;"],
    ["@binding(1)", "@binding(3)"],
    ["var<storage, read> x", "var<storage, read_write> x"],
    ["read_write> y", "read_write> out"],
    [
      "var<workgroup> sums: array<f32, 64>;",
      "var<workgroup> sums: array<vec4<f32>, 16>;\nfn fault(i: u32) {\n  sums[i / 4u][i % 4u] += 1.0;\n}",
    ],
    ["  rows: u32,\n  t: f32,", "  t: f32,\n  rows: u32,"],
    ["  t: f32,", "  t: u32,"],
    ["array<f32>;       // (rows, D_MODEL)", "array<f32>;"],
    ["\nvar<workgroup> sums: array<f32, 64>;\n", ""],
  ];
  // The last fault is none by itself: moved below the functions, it is.
  const moved = "var<workgroup> sums: array<f32, 64>;\n";
  for (const [good, bad] of faults) {
    const text = GOOD.replace(good, bad) + (bad === "" ? moved : "");
    assertEquals(text === GOOD, false, good);
    assertEquals(allProblems(text).length > 0, true, `not found: ${bad}`);
  }
});
