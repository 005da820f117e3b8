import { randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Awaitable } from "../hooks.js";

/** A file in a folder. */
export interface FileEntry {
  /** The name, without the folder. */
  name: string;
  /** When it was written, in milliseconds since 1970. */
  modified: number;
}

/** Where files lie. Each method may be asynchronous. */
export interface FileSystem {
  /** The whole file. Throws where there is none. */
  read(path: string): Awaitable<Uint8Array>;
  /** Writes a file so that under its path there is never half of it; makes the folders on the way. */
  write(path: string, bytes: Uint8Array): Awaitable<void>;
  /** Removes a file or folder; does nothing where there is none. */
  remove(path: string): Awaitable<void>;
  /** The files of a folder; none where there is no such folder. */
  list(folder: string): Awaitable<FileEntry[]>;
}

const schemes = new Map<string, FileSystem>();

/**
 * Makes paths with a scheme go to a file system of yours, everywhere where checkpoints are saved, listed and loaded.
 *
 * ```ts
 * registerFileSystem("s3", {
 *   async read(path) { ... }, async write(path, bytes) { ... }, async remove(path) { ... }, async list(folder) { ... },
 * });
 * new ModelCheckpoint({ dirpath: "s3://bucket/run" });
 * ```
 */
export function registerFileSystem(scheme: string, fileSystem: FileSystem): void {
  schemes.set(scheme.replace(/:\/*$/, ""), fileSystem);
}

/** The file system that a path belongs to: by its scheme, else the local one. */
export function fileSystemOf(path: string): FileSystem {
  return remoteFileSystemOf(path) ?? localFileSystem;
}

/** The registered file system that a path belongs to; null for a path on the local one. */
export function remoteFileSystemOf(path: string): FileSystem | null {
  const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\//.exec(path)?.[1];
  return scheme === undefined ? null : (schemes.get(scheme) ?? null);
}

/** A name in a folder of any file system. */
export function joinPath(folder: string, name: string): string {
  return remoteFileSystemOf(folder) ? `${folder.replace(/\/+$/, "")}/${name}` : join(folder, name);
}

const localFileSystem: FileSystem = {
  read: (path) => readFile(path),

  async write(path, bytes) {
    const folder = dirname(path);
    await mkdir(folder, { recursive: true });
    const temporary = join(folder, `.${basename(path)}.${process.pid}.${randomBytes(6).toString("hex")}.tmp`);
    let file: FileHandle | null = null;
    try {
      file = await open(temporary, "wx");
      await file.writeFile(bytes);
      await file.sync();
      await file.close();
      file = null;
      await rename(temporary, path);
    } catch (error) {
      await file?.close();
      await rm(temporary, { force: true });
      throw error;
    }
  },

  remove: (path) => rm(path, { recursive: true, force: true }),

  async list(folder) {
    const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw error;
    });
    return Promise.all(
      names.map(async (name) => ({ name, modified: (await stat(join(folder, name))).mtimeMs })),
    );
  },
};
