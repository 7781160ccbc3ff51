/** A member of an archive. */
export interface TarMember {
  readonly path: string;
  /** "0" for a file, "5" for a folder, "L" and "x" for what comes before one. */
  readonly type?: string;
  readonly bytes?: Uint8Array;
  /** What the header says of its length, where it is not that of `bytes`. */
  readonly size?: number;
  /** What stands before the name, in a field of its own. */
  readonly prefix?: string;
}

/** A TAR archive in the form of POSIX. */
export function tarFile(members: readonly TarMember[]): Uint8Array<ArrayBuffer> {
  const blocks = members.flatMap(({ path, type = "0", bytes = new Uint8Array(), size, prefix }) => {
    const header = new Uint8Array(512);
    const put = (text: string, at: number) => header.set(new TextEncoder().encode(text), at);
    put(path.slice(0, 100), 0);
    put((size ?? bytes.length).toString(8).padStart(11, "0"), 124);
    put(type, 156);
    put("ustar\x0000", 257);
    put(prefix ?? "", 345);
    header.fill(0x20, 148, 156);
    const sum = header.reduce((total, byte) => total + byte, 0);
    put(`${sum.toString(8).padStart(6, "0")}\0`, 148);
    const body = new Uint8Array(Math.ceil(bytes.length / 512) * 512);
    body.set(bytes);
    return [header, body];
  });
  const all = new Uint8Array(blocks.reduce((sum, { length }) => sum + length, 1024));
  let at = 0;
  for (const block of blocks) {
    all.set(block, at);
    at += block.length;
  }
  return all;
}
