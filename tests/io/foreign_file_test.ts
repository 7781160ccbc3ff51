import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fromBytes } from "../../src/io/byte_source.ts";
import { foreignBinary, foreignForm } from "../../src/io/foreign_file.ts";
import { openPyTorchZip } from "../../src/io/pytorch/pytorch_zip.ts";
import { openSafetensors } from "../../src/io/safetensors/safetensors.ts";
import { encodeSafetensors } from "../../src/io/safetensors/writer.ts";
import { joinBytes } from "./join_bytes.ts";
import { dict, makePyTorchFile, pickle } from "./pytorch/pytorch_file.ts";
import { makeZip } from "./pytorch/zip_file.ts";

const POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9000000\n";
const PAGE = "\n<!DOCTYPE html>\n<html><head><title>a model</title></head></html>\n";

const FILES: readonly (readonly [string, Uint8Array<ArrayBuffer>, string])[] = [
  ["a pointer of Git LFS", joinBytes(POINTER), "git lfs pull"],
  ["a pointer of git-annex", joinBytes("/annex/objects/MD5E-s9--00.bin\n"), "git annex get"],
  ["a web page", joinBytes(PAGE), "web page (HTML)"],
  ["a server's answer", joinBytes('<?xml version="1.0"?><Error>no such key</Error>'), "XML"],
  ["GGUF", joinBytes("GGUF", new Uint8Array(64)), "GGUF"],
  ["gzip", joinBytes([0x1f, 0x8b, 8, 0], new Uint8Array(64)), "gzip"],
  ["HDF5", joinBytes([0x89], "HDF\r\n", [0x1a, 10], new Uint8Array(64)), "HDF5"],
  ["NumPy", joinBytes([0x93], "NUMPY", new Uint8Array(64)), "NumPy"],
  [
    "a tar archive",
    joinBytes("model/w.bin".padEnd(257, "\0"), "ustar\0", new Uint8Array(64)),
    "tar archive",
  ],
  ["JPEG", joinBytes([0xff, 0xd8, 0xff, 0xe0], new Uint8Array(64)), "JPEG"],
  ["JSON", joinBytes('{"error": "not found"}'), "begins"],
];

for (const [what, bytes, expected] of FILES) {
  Deno.test(`openSafetensors() and openPyTorchZip() name ${what}`, async () => {
    await assertRejects(() => openSafetensors(fromBytes("x", bytes)), SyntaxError, expected);
    await assertRejects(() => openPyTorchZip(fromBytes("x", bytes)), SyntaxError, expected);
  });
}

Deno.test("openSafetensors() and openPyTorchZip() name each other's files", async () => {
  const zip = makePyTorchFile(pickle(dict({})));
  const safetensors = encodeSafetensors([
    { name: "a", dtype: "U8", shape: [1], bytes: Uint8Array.of(7) },
  ]);
  await assertRejects(() => openSafetensors(fromBytes("x", zip)), SyntaxError, "torch.save");
  await assertRejects(
    () => openPyTorchZip(fromBytes("x", safetensors)),
    SyntaxError,
    "it is safetensors",
  );
});

Deno.test("openPyTorchZip() names TorchScript, with its compressed code, and NumPy's archives", async () => {
  const bytes = new Uint8Array(8);
  const script = makeZip([
    { name: "net/data.pkl", bytes },
    { name: "net/code/__torch__/net.py", bytes, method: 8 },
    { name: "net/constants.pkl", bytes },
  ]);
  await assertRejects(() => openPyTorchZip(fromBytes("x", script)), SyntaxError, "TorchScript");
  const arrays = makeZip([{ name: "w.npy", bytes, method: 8 }]);
  await assertRejects(() => openPyTorchZip(fromBytes("x", arrays)), SyntaxError, ".npz");
});

Deno.test("foreignForm() takes text for what it is", () => {
  for (const text of ["", '{"a": 1}', "a line that says <html> later", "version 2 of a text"]) {
    assertEquals(foreignForm(joinBytes(text)), undefined);
  }
  assertStringIncludes(foreignBinary(joinBytes("Not Found\n")) ?? "", '"Not Found"');
});
