// ome-zarr.js, which reads and renders.
import { join } from "node:path";
import { NgffImage } from "ome-zarr.js";
// The zarrita that came with it: arrays of one version are not known to another.
import { get } from "./node_modules/ome-zarr.js/node_modules/zarrita/dist/src/index.js";
import { answer, Cannot, storeAt, toldLevel } from "./peer.mjs";

async function multiscale(place) {
  const image = await NgffImage.load(storeAt(place));
  const names = image.axes.map((axis) => axis.name);
  const levels = [];
  for (const [number, path] of image.paths.entries()) {
    const array = await image.openArray(path);
    const level = toldLevel(await get(array), array.dtype);
    level.scale = Object.fromEntries(names.map((axis, i) => [axis, image.getScales()[number][i]]));
    levels.push(level);
  }
  const units = Object.fromEntries(image.axes.filter((axis) => axis.unit).map((axis) => [axis.name, axis.unit]));
  const told = { axes: names, levels, units };
  if (image.omero && names.includes("c")) {
    told.channels = image.omero.channels.map((channel) => channel.label);
    told.colors = image.omero.channels.map((channel) => channel.color);
  }
  // It has to be able to draw what it read.
  const drawn = await image.renderRgba({ targetSize: 64, autoBoost: true });
  if (!drawn.data.length) throw new Error("nothing was drawn");
  return [told, image];
}

async function read(place) {
  const [told, image] = await multiscale(place);
  told.labels = {};
  for (const path of await image.getLabelsPaths().catch(() => [])) {
    const name = path.split("/").pop();
    told.labels[name] = (await multiscale(join(place, "labels", name)))[0];
  }
  return told;
}

const nothing = async () => {
  throw new Cannot("writes nothing");
};

await answer(["node_modules/ome-zarr.js", "node_modules/ome-zarr.js/node_modules/zarrita"], read, {
  "images, labels, plates": nothing,
});
