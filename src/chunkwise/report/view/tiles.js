/* Which tiles there are, their values, and their pictures with the colours and contrasts of the moment. */

/** Keeps the last things that were made; older ones are forgotten. */
class Recent {
  constructor(most) {
    this.most = most;
    this.map = new Map();
  }
  get(key) {
    const found = this.map.get(key);
    if (found !== undefined) {
      this.map.delete(key);
      this.map.set(key, found);
    }
    return found;
  }
  set(key, value) {
    this.map.set(key, value);
    if (this.map.size > this.most) this.map.delete(this.map.keys().next().value);
  }
}

class Tiles {
  /** `changed` is called when a tile has arrived that was not there when it was asked for. */
  constructor(scene, changed) {
    this.scene = scene;
    this.changed = changed;
    this.values = new Recent(400);
    this.pictures = new Recent(400);
    this.waiting = 0;
  }

  /** The sheets of a layer that a frame has, from coarse to fine. */
  sheets(layer, frame) {
    return layer.sheets.filter((sheet) => frame in sheet.frames);
  }

  /** Where a tile lies in its sheet; what it has beyond that is its margin. */
  place(layer, sheet, row, column) {
    const edge = this.scene.tile, [height, width] = sheet.shape;
    const margin = layer.kind === "labels" ? 1 : 0;
    const top = row * edge, left = column * edge;
    return {
      top, left,
      bottom: Math.min(height, top + edge), right: Math.min(width, left + edge),
      above: row ? margin : 0, before: column ? margin : 0,
      stored: [
        Math.min(height, top + edge + margin) - Math.max(0, top - margin),
        Math.min(width, left + edge + margin) - Math.max(0, left - margin),
      ],
    };
  }

  /** A promise of the values of a tile: of an image a list, one for each channel; of labels {width, values, of}. */
  load(layer, sheet, frame, row, column) {
    const key = `${layer.number}/${sheet.number}/${frame}/${row}/${column}`;
    let found = this.values.get(key);
    if (!found) {
      found = { key, done: null };
      const place = this.place(layer, sheet, row, column);
      const at = row * Math.ceil(sheet.shape[1] / this.scene.tile) + column;
      const tiles = sheet.frames[frame].map((channel) => channel[at]);
      this.waiting++;
      found.promise = (layer.kind === "labels" ? decodeLabels(tiles[0], place) : decodeImage(tiles, place))
        .then((values) => {
          found.done = values;
          return values;
        })
        .finally(() => {
          this.waiting--;
          this.changed();
        });
      this.values.set(key, found);
    }
    return found;
  }

  /** A canvas with a tile as it looks now, or null while it is not decoded yet. */
  picture(layer, sheet, frame, row, column) {
    const loaded = this.load(layer, sheet, frame, row, column);
    if (!loaded.done) return null;
    const known = this.pictures.get(loaded.key);
    if (known && known.look === layer.look) return known.canvas;
    const place = this.place(layer, sheet, row, column);
    const canvas = known ? known.canvas : document.createElement("canvas");
    canvas.width = place.right - place.left;
    canvas.height = place.bottom - place.top;
    const context = canvas.getContext("2d");
    const pixels = context.createImageData(canvas.width, canvas.height);
    if (layer.kind === "labels") paintLabels(pixels, loaded.done, place, layer, frame);
    else paintImage(pixels, loaded.done, layer);
    context.putImageData(pixels, 0, 0);
    this.pictures.set(loaded.key, { canvas, look: layer.look });
    return canvas;
  }

  /** What the finest sheet of a frame holds at a voxel: a promise of bytes, or of an object's number; or null. */
  async at(layer, frame, y, x) {
    const sheets = this.sheets(layer, frame);
    if (!sheets.length) return null;
    const sheet = sheets[sheets.length - 1], edge = this.scene.tile;
    const row = Math.floor((y - sheet.offset[0]) / sheet.step[0]);
    const column = Math.floor((x - sheet.offset[1]) / sheet.step[1]);
    if (row < 0 || column < 0 || row >= sheet.shape[0] || column >= sheet.shape[1]) return null;
    const tile = [Math.floor(row / edge), Math.floor(column / edge)];
    const values = await this.load(layer, sheet, frame, tile[0], tile[1]).promise;
    const place = this.place(layer, sheet, tile[0], tile[1]);
    const here = [row - place.top + place.above, column - place.left + place.before];
    const coarse = Math.max(...sheet.step);
    if (layer.kind === "labels") return { number: values.of[values.values[here[0] * place.stored[1] + here[1]]], coarse };
    return { bytes: values.map((channel) => channel[here[0] * place.stored[1] + here[1]]), coarse };
  }
}

async function decodeImage(tiles, place) {
  return Promise.all(tiles.map(async (tile) => {
    if (typeof tile === "string") return (await decodePng(tile)).values;
    return new Uint8Array(place.stored[0] * place.stored[1]).fill(tile);
  }));
}

async function decodeLabels(tile, place) {
  if (typeof tile === "object") return { values: (await decodePng(tile.png)).values, of: tile.of };
  return { values: new Uint8Array(place.stored[0] * place.stored[1]), of: [tile] };
}

/** Add the channels up, each in its colour, as microscopes show them. */
function paintImage(pixels, channels, layer) {
  const data = pixels.data, shown = [];
  layer.channels.forEach((channel, n) => {
    if (channel.on) shown.push({ values: channels[n], tables: tablesOf(channel) });
  });
  for (let i = 0, at = 0; at < data.length; i++, at += 4) {
    let red = 0, green = 0, blue = 0;
    for (const { values, tables } of shown) {
      const value = values[i];
      red += tables[0][value];
      green += tables[1][value];
      blue += tables[2][value];
    }
    data[at] = red; // clamped to 255 by its type
    data[at + 1] = green;
    data[at + 2] = blue;
    data[at + 3] = 255;
  }
}

/** What each byte becomes between the black and the white of a channel: red, green, blue. */
function tablesOf(channel) {
  const color = [1, 3, 5].map((at) => parseInt(channel.color.slice(at, at + 2), 16) / 255);
  const width = Math.max(1e-9, channel.white - channel.black);
  return color.map((part) => Float32Array.from({ length: 256 }, (_, byte) =>
    part * 255 * Math.min(1, Math.max(0, (byte - channel.black) / width))));
}

/** Fill the objects, or draw their outlines; the one that was clicked is filled in white. */
function paintLabels(pixels, tile, place, layer, frame) {
  const time = frame.split(",")[0], width = place.stored[1], height = place.stored[0];
  const colors = tile.of.map((number) => colorOf(layer, time, number));
  const chosen = tile.of.indexOf(layer.chosen);
  const { values } = tile, data = pixels.data;
  for (let y = 0, to = 0; y < pixels.height; y++) {
    for (let x = 0; x < pixels.width; x++, to += 4) {
      const row = y + place.above, column = x + place.before, at = row * width + column, value = values[at];
      const color = colors[value];
      if (!color) continue;
      const edge =
        (row > 0 && values[at - width] !== value) || (row + 1 < height && values[at + width] !== value) ||
        (column > 0 && values[at - 1] !== value) || (column + 1 < width && values[at + 1] !== value);
      const mine = value === chosen;
      if (!edge && layer.style === "outlines" && !mine) continue;
      const [red, green, blue] = mine ? [255, 255, 255] : color;
      data[to] = red;
      data[to + 1] = green;
      data[to + 2] = blue;
      data[to + 3] = edge || layer.style === "filled" ? 255 : 130;
    }
  }
}

/** The colour of an object: by its class, else by its number, as in the other pictures of chunkwise; 0 has none. */
function colorOf(layer, time, number) {
  if (number === 0 || number === "0") return null;
  const kind = layer.classOf[time] && layer.classOf[time][number];
  if (kind !== undefined) return layer.classes[kind].color;
  const value = Number(number);
  const part = (factor) => (((value * factor) % 1) + 1) % 1; // % of a negative number is negative
  const hue = part(0.6180339887498949), light = 0.55 + 0.15 * part(0.7548776662466927);
  const spread = 1 - Math.abs(2 * light - 1);
  return [0, 2 / 3, 1 / 3].map((offset) => {
    const wheel = Math.min(1, Math.max(0, Math.abs(((hue + offset) % 1) * 6 - 3) - 1));
    return Math.round(255 * Math.min(1, Math.max(0, (wheel - 0.5) * spread + light)));
  });
}
