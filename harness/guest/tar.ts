// SPDX-License-Identifier: MIT
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pack } from 'tar-stream';

/** A file to be written in the guest: its content, or a file of the host's. */
export type FileToPush = {
  /** Relative to the folder it is pushed to; its own folders are made. */
  readonly name: string;
  /** 0o644 when not given. */
  readonly mode?: number;
} & ({ readonly content: Uint8Array | string } | { readonly file: string });

/** A tar stream of some files. A file of the host's that cannot be read is the stream's error. */
export function tarStream(files: readonly FileToPush[]): Readable {
  const tar = pack();
  const fill = async (): Promise<void> => {
    for (const item of files) {
      const content = 'content' in item ? Buffer.from(item.content as Uint8Array) : await readFile(item.file);
      tar.entry({ name: item.name, mode: item.mode ?? 0o644, mtime: new Date(0) }, content);
    }
    tar.finalize();
  };
  fill().catch((error: unknown) => tar.destroy(error as Error));
  return Readable.from(tar, { objectMode: false });
}
