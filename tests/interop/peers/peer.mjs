// What the scripts of the peers in JavaScript share; the same words as in peer.py.
import FileSystemStore from "@zarrita/storage/fs";
import ZipFileStore from "@zarrita/storage/zip";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export class Cannot extends Error {}

export function storeAt(place) {
  return place.endsWith(".ozx")
    ? ZipFileStore.fromBlob(new Blob([readFileSync(place)]))
    : new FileSystemStore(place);
}

export function readInputs(folder) {
  const known = JSON.parse(readFileSync(join(folder, "inputs.json"), "utf-8"));
  const types = { uint16: Uint16Array, uint32: Uint32Array };
  return {
    ...known,
    array(name) {
      const bytes = readFileSync(join(folder, name + ".bin"));
      const kind = types[known.arrays[name].dtype];
      return new kind(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
    },
  };
}

export function toldLevel(chunk, dtype) {
  const bytes = Buffer.from(chunk.data.buffer, chunk.data.byteOffset, chunk.data.byteLength);
  return { shape: chunk.shape, dtype, sha256: createHash("sha256").update(bytes).digest("hex") };
}

async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    if (error instanceof Cannot) return { cannot: error.message };
    return { failed: `${error.name}: ${error.message.split("\n")[0]}`.slice(0, 300) };
  }
}

export async function answer(packages, read, makers) {
  const [command, ...places] = process.argv.slice(2);
  const lock = JSON.parse(readFileSync(new URL("package-lock.json", import.meta.url), "utf-8"));
  const result = { versions: {}, node: process.versions.node };
  for (const name of packages) result.versions[name.split("node_modules/").pop()] = lock.packages[name].version;
  if (command === "read") {
    result.stores = {};
    for (const place of places) result.stores[place] = await attempt(() => read(place));
  } else {
    const [folder, inputs] = places;
    result.made = {};
    for (const [number, [name, maker]] of Object.entries(makers).entries()) {
      const target = join(folder, String(number));
      mkdirSync(target, { recursive: true });
      result.made[name] = await attempt(() => maker(target, readInputs(inputs)));
    }
  }
  console.log(JSON.stringify(result));
}
