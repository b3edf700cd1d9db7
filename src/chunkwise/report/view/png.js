/* Tiles are decoded here and not by the browser's <img>: some browsers give back changed pixels of a canvas, to
   hinder the recognition of their users, and the number of an object has to be exact. */

/** Bytes of base64 text. */
function bytesOf(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

/** What zlib packed. */
async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Decode a grey PNG of 8 or 16 bits, as chunkwise writes it: {width, height, values}. */
async function decodePng(text) {
  const file = bytesOf(text);
  const numbers = new DataView(file.buffer);
  const width = numbers.getUint32(16), height = numbers.getUint32(20), size = file[24] / 8;
  const packed = [];
  for (let at = 8; at < file.length; at += 12 + numbers.getUint32(at)) {
    if (String.fromCharCode(...file.subarray(at + 4, at + 8)) === "IDAT") {
      packed.push(file.subarray(at + 8, at + 8 + numbers.getUint32(at)));
    }
  }
  const data = unfiltered(await inflate(await joined(packed)), width * size, height, size);
  if (size === 1) return { width, height, values: data };
  const values = new Uint16Array(width * height);
  for (let i = 0; i < values.length; i++) values[i] = 256 * data[2 * i] + data[2 * i + 1];
  return { width, height, values };
}

async function joined(parts) {
  return parts.length === 1 ? parts[0] : new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** Undo the filters of a PNG's rows; `step` is the number of bytes of a pixel. */
function unfiltered(raw, row, height, step) {
  const out = new Uint8Array(row * height);
  for (let y = 0; y < height; y++) {
    const kind = raw[y * (row + 1)], from = y * (row + 1) + 1, to = y * row;
    for (let x = 0; x < row; x++) {
      const left = x >= step ? out[to + x - step] : 0;
      const up = y ? out[to + x - row] : 0;
      const corner = y && x >= step ? out[to + x - row - step] : 0;
      let guess = 0;
      if (kind === 1) guess = left;
      else if (kind === 2) guess = up;
      else if (kind === 3) guess = (left + up) >> 1;
      else if (kind === 4) guess = paeth(left, up, corner);
      out[to + x] = raw[from + x] + guess; // a Uint8Array keeps the lowest eight bits
    }
  }
  return out;
}

function paeth(left, up, corner) {
  const base = left + up - corner;
  const a = Math.abs(base - left), b = Math.abs(base - up), c = Math.abs(base - corner);
  return a <= b && a <= c ? left : b <= c ? up : corner;
}
