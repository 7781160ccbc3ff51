import { s16, tone, wavFile } from "../../io/audio/wav_file.ts";
import { tarFile } from "../../io/tar_file.ts";

/** An archive of high and low tones. */
export async function withTones(run: (archive: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempFile({ suffix: ".tar" });
  const members = Array.from({ length: 40 }, (_, i) => {
    const [name, hertz] = i % 2 === 0 ? ["low", 300 + i] : ["high", 2000 + 9 * i];
    const samples = tone({ silence: 0, length: 2000 + 50 * i, hertz: Number(hertz) });
    return { path: `${name}_${i}_${i % 10}.wav`, bytes: wavFile(s16(samples)) };
  });
  try {
    await Deno.writeFile(path, tarFile(members));
    await run(path);
  } finally {
    await Deno.remove(path);
  }
}
