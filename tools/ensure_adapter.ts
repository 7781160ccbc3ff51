// deno-lint-ignore-file no-console -- a command: what it says is its result.
/**
 * Makes sure that this machine has a WebGPU adapter, before tests that need one.
 *
 *     deno run -A tools/ensure_adapter.ts
 *
 * Names the adapter on stderr and exits 0. Where there is none: on Debian and Ubuntu as root, installs Mesa's software
 * Vulkan driver and looks again in a new process, because a process that found no driver will not look twice.
 * Elsewhere, says what to install and exits 1.
 */

import { answerHelp } from "./help.ts";
import { canInstall, installPackages } from "./install_packages.ts";

const PACKAGES = ["mesa-vulkan-drivers", "libvulkan1"];

/** Given to the second process, which must not install again. */
const CHECK_ONLY = "--check-only";

/** What the adapter calls itself, or `undefined` where there is none. */
async function adapterName(): Promise<string | undefined> {
  // Where only OpenGL is left, Deno would offer that, and the kernels are not tried on it.
  if (Deno.build.os === "linux") Deno.env.set("DENO_WEBGPU_BACKEND", "vulkan");
  const adapter = await navigator.gpu.requestAdapter();
  if (adapter === null) return undefined;
  const { description, vendor, device } = adapter.info;
  const software = /llvmpipe|lavapipe|swiftshader|software/i.test(description);
  const name = description || [vendor, device].filter((part) => part !== "").join(" ") ||
    "unnamed adapter";
  return software ? `${name} (software)` : name;
}

function fail(found: string): never {
  console.error(
    `Cannot find a GPU adapter: ${found}. On Debian or Ubuntu: apt-get install ${
      PACKAGES.join(" ")
    } (a software Vulkan driver). On other systems: install the GPU's Vulkan driver, ` +
      "or Mesa's lavapipe",
  );
  Deno.exit(1);
}

answerHelp(import.meta.url);
const name = await adapterName();
if (name !== undefined) {
  console.error(`WebGPU adapter: ${name}`);
} else if (Deno.args.includes(CHECK_ONLY)) {
  fail(`navigator.gpu.requestAdapter() still gives null with ${PACKAGES.join(", ")} installed`);
} else if (!canInstall()) {
  fail("navigator.gpu.requestAdapter() gives null");
} else {
  console.error("No WebGPU adapter here: installing a software Vulkan driver");
  if (!await installPackages(PACKAGES)) fail(`${PACKAGES.join(", ")} could not be installed`);
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", import.meta.filename ?? "tools/ensure_adapter.ts", CHECK_ONLY],
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  Deno.exit(code);
}
