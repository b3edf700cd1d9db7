// zarrita, which knows groups and arrays: the metadata of OME-Zarr are written here, as its users have to.
import FileSystemStore from "@zarrita/storage/fs";
import { join } from "node:path";
import * as zarr from "zarrita";
import { answer, Cannot, storeAt, toldLevel } from "./peer.mjs";

const TYPES = { t: "time", c: "channel", z: "space", y: "space", x: "space" };

async function multiscale(store, path, name, inputs, extra, more) {
  const { axes, shape, dtype } = inputs.arrays[name];
  const names = [...axes];
  const ome = {
    version: "0.5",
    multiscales: [
      {
        axes: names.map((axis) => ({ name: axis, type: TYPES[axis], unit: inputs.units[axis] })),
        datasets: [
          {
            path: "0",
            coordinateTransformations: [{ type: "scale", scale: names.map((axis) => inputs.scale[axis] ?? 1) }],
          },
        ],
      },
    ],
    ...extra,
  };
  const root = zarr.root(store).resolve(path);
  await zarr.create(root, { attributes: { ome } });
  const array = await zarr.create(root.resolve("0"), {
    shape,
    dtype,
    chunkShape: shape.map((n) => Math.min(n, 32)),
    dimensionNames: names,
    ...more,
  });
  await zarr.set(array, null, {
    data: inputs.array(name),
    shape,
    stride: shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1)),
  });
}

async function image(more, folder, inputs) {
  const place = join(folder, "image.ome.zarr");
  const store = new FileSystemStore(place);
  await multiscale(store, "/", "stack", inputs, {}, more);
  await zarr.create(zarr.root(store).resolve("/labels"), { attributes: { ome: { version: "0.5", labels: ["cells"] } } });
  await multiscale(store, "/labels/cells", "stack_labels", inputs, { "image-label": {} }, more);
  const pick = (from) => Object.fromEntries([..."zyx"].map((axis) => [axis, from[axis]]));
  return {
    store: place,
    input: "stack",
    labels: "cells",
    asked: { scale: pick(inputs.scale), units: pick(inputs.units) },
  };
}

async function read(place) {
  const root = zarr.root(storeAt(place));
  const levels = [];
  for (let number = 0; ; number++) {
    const array = await zarr.open(root.resolve(String(number)), { kind: "array" }).catch(() => null);
    if (!array) break;
    levels.push(toldLevel(await zarr.get(array), array.dtype));
  }
  if (!levels.length) throw new Cannot("knows groups and arrays only, and there is no array at 0");
  return { levels };
}

await answer(["node_modules/zarrita"], read, {
  "image with labels 0.5": (...words) =>
    image({ codecs: [{ name: "bytes", configuration: { endian: "little" } }], fillValue: 0 }, ...words),
  "image with labels 0.5, defaults": (...words) => image({}, ...words),
  plate: async () => {
    throw new Cannot("knows groups and arrays only");
  },
});
