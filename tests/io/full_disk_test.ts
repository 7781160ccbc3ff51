import { assert, assertEquals } from "@std/assert";

const FIXTURE = new URL("fixture_full_disk.ts", import.meta.url).pathname;

Deno.test({
  name: "a disk that is full is said with the file's name, and nothing is left half-written",
  // The limit, and that it is an error and no signal, is a POSIX shell's.
  ignore: Deno.build.os === "windows",
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const { code, stdout, stderr } = await new Deno.Command("sh", {
        args: [
          "-c",
          'trap "" XFSZ; ulimit -f 64; exec "$0" run -A --no-check --no-code-cache "$1" "$2"',
          ...[Deno.execPath(), FIXTURE, folder],
        ],
        ...{ stdout: "piped", stderr: "piped" },
      }).output();
      assertEquals(code, 0, new TextDecoder().decode(stderr));
      const lines = new TextDecoder().decode(stdout).trimEnd().split("\n");
      const files = ["whole", "safetensors", "model.safetensors", "rows", "metrics"];
      for (const [index, file] of files.entries()) {
        const [, message = ""] = lines[index]?.split("\t") ?? [];
        assert(message.startsWith(`Cannot write "${folder}/${file}": `), lines[index]);
        assert(!message.includes(".tmp"), message);
      }
      const left = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
      assertEquals(left, ["metrics"], "whose lines are whole up to there");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
