// An image as vizarr gets it: a Zarr store that exists in the page alone, whose chunks are tiles of single planes.
//
// vizarr 0.1.8 brings a Zarr reader of 2024 that knows no label images and few data types. Here zarrita of today reads
// the dataset, and vizarr sees plain numbers. A label image becomes three channels: red, green and blue of its colours.

import * as zarr from "zarrita";
import { beginning } from "./beginning.js";
import { colour } from "./colours.js";

const TILE = 256;

/** What a label image is given as. */
const COLOUR_CHANNELS = ["red FF0000", "green 00FF00", "blue 0000FF"].map((text) => {
  const [label, color] = text.split(" ");
  return { label, color, window: { start: 0, end: 255 }, active: true };
});

/** How many coloured tiles are kept: vizarr asks for each three times, once for each channel. */
const KEPT_TILES = 64;

/** The name of the axis of colours; the page knows a label layer by it. */
export const COLOURS_AXIS = "rgb";

/** Types that vizarr cannot draw, and what they are given as. */
const DRAWN_AS = { bool: "uint8", float16: "float32", int64: "float64", uint64: "float64" };

const ARRAYS = {
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  float32: Float32Array,
  float64: Float64Array,
};

/** A store over the planes of an opened image, read-only. */
export class PlaneStore {
  #image;
  #type;
  #channels;
  #complain;
  #kept = new Map();

  /** `complain` is told of a part that cannot be read: the viewer would leave it black. */
  constructor(image, complain) {
    this.#image = image;
    this.#complain = complain;
    // What vizarr shall choose by channel, where the image has no such axis: the first axis, of this name and size.
    this.#channels = image.isLabels ? [[COLOURS_AXIS, 3]] : image.axes.includes("c") ? [] : [["c", 1]];
    const type = image.levels[0].dtype;
    this.#type = image.isLabels ? "uint8" : (DRAWN_AS[type] ?? type);
    if (!(this.#type in ARRAYS)) {
      throw new Error(`Images of type ${type} cannot be shown here.`);
    }
  }

  async get(key) {
    if (key === "/zarr.json") {
      return asBytes(await this.#group());
    }
    const [, level, file, ...indices] = key.split("/");
    if (file === "zarr.json") {
      return asBytes(this.#array(this.#image.levels[level]));
    }
    if (file !== "c") {
      return undefined;
    }
    const chunk = this.#chunk(Number(level), indices.map(Number));
    chunk.catch(this.#complain);
    return chunk;
  }

  async #group() {
    const { axes, levels, isLabels } = this.#image;
    const types = { [COLOURS_AXIS]: "channel", c: "channel", t: "time" };
    const names = [...this.#channels.map(([name]) => name), ...axes];
    const first = await beginning(isLabels ? { ...this.#image, omero: { channels: COLOUR_CHANNELS } } : this.#image);
    const multiscales = {
      version: "0.4",
      axes: names.map((name) => ({ name, type: types[name] ?? "space" })),
      datasets: levels.map((_, index) => ({ path: String(index) })),
    };
    return { zarr_format: 3, node_type: "group", attributes: { multiscales: [multiscales], omero: first } };
  }

  /** The shape of every level is that of the first, but for rows and columns: the planes of all levels are in step. */
  #array(level) {
    const [rows, columns] = level.shape.slice(-2);
    const outer = this.#image.levels[0].shape.slice(0, -2);
    const shape = [...this.#channels.map(([, size]) => size), ...outer, rows, columns];
    const chunks = shape.map((_, index) => (index < shape.length - 2 ? 1 : TILE));
    return {
      zarr_format: 3,
      node_type: "array",
      shape,
      data_type: this.#type,
      chunk_grid: { name: "regular", configuration: { chunk_shape: chunks } },
      chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
      codecs: [{ name: "bytes", configuration: { endian: "little" } }],
      fill_value: 0,
      attributes: {},
    };
  }

  async #chunk(level, indices) {
    const place = indices.slice(this.#channels.length);
    if (this.#image.isLabels) {
      return (await this.#colours(level, place))[indices[0]];
    }
    const { data, height, width } = await this.#tile(level, place);
    const Values = ARRAYS[this.#type];
    return padded(data instanceof Values ? data : Values.from(data, Number), height, width);
  }

  #colours(level, place) {
    const name = [level, ...place].join("/");
    if (!this.#kept.has(name)) {
      const made = this.#tile(level, place).then(({ data, height, width }) => {
        const colours = Array.from(data, colour);
        return [0, 1, 2].map((channel) => padded(Uint8Array.from(colours, (rgb) => rgb[channel]), height, width));
      });
      this.#kept.set(name, made);
      made.catch(() => this.#kept.delete(name));
      if (this.#kept.size > KEPT_TILES) {
        this.#kept.delete(this.#kept.keys().next().value);
      }
    }
    return this.#kept.get(name);
  }

  /** The voxels of one tile of one plane. */
  async #tile(level, place) {
    const array = this.#image.levels[level];
    const [top, left] = place.slice(-2).map((index) => index * TILE);
    const [rows, columns] = array.shape.slice(-2);
    const outer = place.slice(0, -2).map((index, axis) => this.#plane(index, axis, array));
    const rectangle = [zarr.slice(top, Math.min(top + TILE, rows)), zarr.slice(left, Math.min(left + TILE, columns))];
    const { data, shape } = await zarr.get(array, [...outer, ...rectangle]);
    return { data, height: shape[0], width: shape[1] };
  }

  /** The index on an outer axis at a level that may have fewer planes than the first. */
  #plane(index, axis, array) {
    return Math.floor((index * array.shape[axis]) / this.#image.levels[0].shape[axis]);
  }
}

/** The bytes of a whole chunk: what lies beyond the image's edge is zero. */
function padded(values, height, width) {
  const chunk = new values.constructor(TILE * TILE);
  for (let row = 0; row < height; row += 1) {
    chunk.set(values.subarray(row * width, (row + 1) * width), row * TILE);
  }
  return new Uint8Array(chunk.buffer);
}

function asBytes(document) {
  return new TextEncoder().encode(JSON.stringify(document));
}
