// How an image is shown at first: its middle plane, and a contrast in which something is seen.

import * as zarr from "zarrita";

/** vizarr draws six channels at most; colours as it takes them by itself. */
const COLOURS = [["FFFFFF"], ["FF00FF", "00FF00"], ["FF0000", "00FF00", "0000FF"]];
const MANY = ["00FFFF", "FFFF00", "FF00FF", "FF0000", "00FF00", "0000FF"];

/** The darkest and the brightest voxels, of a thousand each, do not count. */
const LEFT_OUT = 0.001;
const SAMPLES = 100_000;

/** What vizarr reads of an image as its `omero`: channels, and the plane to begin with. */
export async function beginning(image) {
  const { axes, levels, omero } = image;
  const planes = levels[0].shape[axes.indexOf("z")] ?? 1;
  const middle = Math.floor(planes / 2);
  const channels = omero?.channels ?? (await guessed(image, middle));
  return { channels, rdefs: { defaultZ: middle } };
}

async function guessed({ axes, levels }, middle) {
  const count = levels[0].shape[axes.indexOf("c")] ?? 1;
  const colours = COLOURS[count - 1] ?? MANY;
  const shown = Array.from({ length: count }, (_, index) => index < colours.length);
  return Promise.all(
    shown.map(async (active, index) => {
      const [start, end] = active ? await contrast(axes, levels, index, middle) : [0, 255];
      return { label: `channel ${index}`, color: colours[index] ?? "FFFFFF", window: { start, end }, active };
    }),
  );
}

/** Where black and white of a channel lie, by the smallest level. */
async function contrast(axes, levels, channel, middle) {
  const array = levels.at(-1);
  if (array.dtype === "uint8") {
    return [0, 255];
  }
  const place = { c: channel, z: Math.floor((middle * array.shape[axes.indexOf("z")]) / levels[0].shape[axes.indexOf("z")]) };
  const { data } = await zarr.get(array, axes.map((axis) => (axis === "y" || axis === "x" ? null : (place[axis] ?? 0))));
  const step = Math.ceil(data.length / SAMPLES);
  const values = Float64Array.from({ length: Math.ceil(data.length / step) }, (_, index) => Number(at(data, index * step)));
  const sorted = values.filter(Number.isFinite).sort();
  const [start, end] = [LEFT_OUT, 1 - LEFT_OUT].map((part) => sorted[Math.round(part * (sorted.length - 1))]);
  return start < end ? [start, end] : [start ?? 0, (start ?? 0) + 1];
}

function at(data, index) {
  return data.get ? data.get(index) : data[index];
}
