import { assert, assertEquals } from "@std/assert";

/** What `deno doc --json` says of a symbol, as far as it is used here. */
interface Documented {
  readonly name: string;
  readonly declarations: readonly {
    readonly kind: string;
    readonly def?: { readonly extends?: unknown };
    readonly jsDoc?: { readonly tags?: readonly { readonly kind: string }[] };
  }[];
}

/** All that mod.ts exports. */
async function publicSymbols(): Promise<readonly Documented[]> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", "mod.ts"],
    cwd: new URL("..", import.meta.url),
  }).output();
  const decoder = new TextDecoder();
  assertEquals(code, 0, decoder.decode(stderr));
  const { nodes } = JSON.parse(decoder.decode(stdout));
  return Object.values<{ symbols: Documented[] }>(nodes).flatMap(({ symbols }) => symbols);
}

function hasExample({ declarations }: Documented): boolean {
  return declarations.some(({ jsDoc }) => jsDoc?.tags?.some(({ kind }) => kind === "example"));
}

function isType({ declarations }: Documented): boolean {
  return declarations.every(({ kind }) => kind === "interface" || kind === "typeAlias");
}

/** Names of the types that an interface extends. */
function extended({ declarations }: Documented): string[] {
  return declarations.flatMap(({ def }) => typesNamedIn(def?.extends));
}

/** Names of all types in a declaration. */
function typesNamedIn(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, part]) =>
    key === "typeName" && typeof part === "string" ? [part] : typesNamedIn(part)
  );
}

// The rule: a function, a class or a value has an example of its own. A type has one, or shares that of a symbol in
// whose declaration it stands, however deep: it is what a function takes or returns, or a part of that. So does one that
// extends such a type.
Deno.test("every public symbol of mod.ts has an example, or stands in the declaration of one that has", async () => {
  const symbols = await publicSymbols();
  assert(symbols.length > 50, `only ${symbols.length} were found`);
  const shown = new Set<string>();
  const show = (symbol: Documented): void => {
    if (shown.has(symbol.name)) return;
    shown.add(symbol.name);
    const named = new Set(typesNamedIn(symbol.declarations));
    for (const other of symbols.filter(isType)) {
      if (named.has(other.name) || extended(other).includes(symbol.name)) show(other);
    }
  };
  for (const symbol of symbols.filter(hasExample)) show(symbol);
  const without = symbols.map(({ name }) => name).filter((name) => !shown.has(name));
  assertEquals(without, []);
});
