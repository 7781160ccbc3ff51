// deno-lint-ignore-file no-console -- of commands: what they do is shown on stderr.
/** Debian's packages, for tools that make sure of what tests need. */

/** Whether packages can be installed here: on Debian and Ubuntu, as root. From os-release's `ID` and `ID_LIKE`. */
export function canInstall(): boolean {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return false;
  try {
    const release = Deno.readTextFileSync("/etc/os-release");
    return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(release);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Installs packages, with the output on stderr; whether it succeeded. */
export async function installPackages(packages: readonly string[]): Promise<boolean> {
  return await succeeds("apt-get", ["update"]) &&
    await succeeds("apt-get", ["install", "-y", "--no-install-recommends", ...packages]);
}

async function succeeds(command: string, args: string[]): Promise<boolean> {
  console.error(`$ ${command} ${args.join(" ")}`);
  const process = new Deno.Command(command, {
    args,
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  await process.stdout.pipeTo(Deno.stderr.writable, { preventClose: true });
  return (await process.status).success;
}
