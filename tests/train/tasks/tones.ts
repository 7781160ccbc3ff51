import { s16, tone, wavFile } from "../../io/audio/wav_file.ts";
import { tarFile } from "../../io/tar_file.ts";

/** An archive of high and low tones; `rates` are samples a second of the first ones, the others have 8000. */
export async function withTones(
  run: (archive: string) => Promise<void>,
  rates: readonly number[] = [],
): Promise<void> {
  const path = await Deno.makeTempFile({ suffix: ".tar" });
  const members = Array.from({ length: 40 }, (_, i) => {
    const [name, hertz] = i % 2 === 0 ? ["low", 300 + i] : ["high", 2000 + 9 * i];
    const sampleRate = rates[i] ?? 8000;
    const length = (2000 + 50 * i) * sampleRate / 8000;
    const samples = tone({ silence: 0, length, hertz: Number(hertz), sampleRate });
    return { path: `${name}_${i}_${i % 10}.wav`, bytes: wavFile(s16(samples), { sampleRate }) };
  });
  try {
    await Deno.writeFile(path, tarFile(members));
    await run(path);
  } finally {
    await Deno.remove(path);
  }
}
