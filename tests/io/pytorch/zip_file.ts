import { joinBytes, le } from "../join_bytes.ts";

/** A stored file to put into an archive, with what to say falsely about it. */
export interface ZipFile {
  name: string;
  bytes: Uint8Array;
  method?: number;
  flags?: number;
  /** The size in the central directory. */
  centralSize?: number;
  /** The size in the local header. */
  localSize?: number;
  /** The name in the local header. */
  localName?: string;
  /** Where the central directory says that the local header is. */
  begin?: number;
}

/** Says how the archive ends. */
export interface ZipOptions {
  zip64?: boolean;
  comment?: string;
  /** The number of files in the end record. */
  count?: number;
}

/** A zip archive of stored files, checksums zero. */
export function makeZip(
  files: readonly ZipFile[],
  options: ZipOptions = {},
): Uint8Array<ArrayBuffer> {
  const { zip64 = false, comment = "", count = files.length } = options;
  const locals: Uint8Array[] = [];
  const centrals: Uint8Array[] = [];
  let at = 0;
  for (const file of files) {
    const { flags = 0, method = 0 } = file;
    const localName = new TextEncoder().encode(file.localName ?? file.name);
    const name = new TextEncoder().encode(file.name);
    const localSize = le(file.localSize ?? file.bytes.length, 4);
    const local = joinBytes(
      ["PK\x03\x04", le(20, 2), le(flags, 2), le(method, 2), le(0, 8), localSize, localSize]
        .map((part) => joinBytes(part)).reduce((a, b) => joinBytes(a, b)),
      le(localName.length, 2),
      le(0, 2),
      localName,
      file.bytes,
    );
    const size = file.centralSize ?? file.bytes.length;
    const begin = file.begin ?? at;
    const extra = zip64
      ? joinBytes(
        le(0x4246, 2),
        le(3, 2),
        "pad",
        le(1, 2),
        le(24, 2),
        le(size, 8),
        le(size, 8),
        le(begin, 8),
      )
      : new Uint8Array();
    const narrow = (value: number) => le(zip64 ? 0xffffffff : value, 4);
    centrals.push(joinBytes(
      joinBytes("PK\x01\x02", le(20, 2), le(20, 2), le(flags, 2), le(method, 2), le(0, 8)),
      joinBytes(narrow(size), narrow(size), le(name.length, 2), le(extra.length, 2), le(0, 2)),
      joinBytes(le(0, 2), le(0, 2), le(0, 4), narrow(begin), name, extra),
    ));
    locals.push(local);
    at += local.length;
  }
  const directory = centrals.reduce((a, b) => joinBytes(a, b), new Uint8Array());
  const end64 = zip64
    ? joinBytes(
      joinBytes("PK\x06\x06", le(44, 8), le(45, 2), le(45, 2), le(0, 4), le(0, 4)),
      joinBytes(le(count, 8), le(count, 8), le(directory.length, 8), le(at, 8)),
      joinBytes("PK\x06\x07", le(0, 4), le(at + directory.length, 8), le(1, 4)),
    )
    : new Uint8Array();
  const full = (value: number, length: number) => le(zip64 ? -1 : value, length);
  return joinBytes(
    ...locals,
    directory,
    end64,
    joinBytes("PK\x05\x06", le(0, 4), full(count, 2), full(count, 2)),
    joinBytes(full(directory.length, 4), full(at, 4), le(comment.length, 2), comment),
  );
}
