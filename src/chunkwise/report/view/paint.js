/* The canvas: where the eye is, which tiles that takes, and what is drawn over them. */

class Painter {
  constructor(scene, canvas) {
    this.scene = scene;
    this.canvas = canvas;
    this.over = document.createElement("canvas");
    this.tiles = new Tiles(scene, () => this.ask());
    this.frame = scene.first.join(",");
    this.asked = false;
    this.y = scene.size[1] / 2;
    this.x = scene.size[2] / 2;
    this.zoom = 0; // pixels of the screen for a voxel along x
  }

  /** Draw as soon as the browser shows the next picture; several wishes are one. */
  ask() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      this.draw();
    });
  }

  /** Fit the whole image. */
  fit() {
    const [, height, width] = this.scene.size;
    this.y = height / 2;
    this.x = width / 2;
    this.zoom = this.smallest();
    this.ask();
  }

  smallest() {
    const [, height, width] = this.scene.size;
    return Math.min(this.canvas.width / width, this.canvas.height / (height * this.scene.aspect));
  }

  /** The place of the space that lies under a pixel of the screen. */
  toSpace(left, top) {
    return [
      this.y + (top - this.canvas.height / 2) / (this.zoom * this.scene.aspect),
      this.x + (left - this.canvas.width / 2) / this.zoom,
    ];
  }

  toScreen(y, x) {
    return [
      (x - this.x) * this.zoom + this.canvas.width / 2,
      (y - this.y) * this.zoom * this.scene.aspect + this.canvas.height / 2,
    ];
  }

  /** Zoom by a factor, with the place under a pixel staying there. */
  zoomBy(factor, left = this.canvas.width / 2, top = this.canvas.height / 2) {
    const [y, x] = this.toSpace(left, top);
    this.zoom = Math.min(64 * devicePixelRatio, Math.max(this.smallest() / 2, this.zoom * factor));
    const [y2, x2] = this.toSpace(left, top);
    this.moveTo(this.y + y - y2, this.x + x - x2);
  }

  moveTo(y, x) {
    this.y = Math.min(this.scene.size[1], Math.max(0, y));
    this.x = Math.min(this.scene.size[2], Math.max(0, x));
    this.ask();
  }

  /** Fit the canvas to its place in the page. */
  resize() {
    const box = this.canvas.getBoundingClientRect(), first = this.zoom === 0;
    const whole = !first && Math.abs(this.zoom / this.smallest() - 1) < 1e-6;
    this.canvas.width = this.over.width = Math.max(1, Math.round(box.width * devicePixelRatio));
    this.canvas.height = this.over.height = Math.max(1, Math.round(box.height * devicePixelRatio));
    if (first || whole) this.fit();
    this.ask();
  }

  draw() {
    const context = this.canvas.getContext("2d");
    context.globalAlpha = 1;
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    const [top, bottom] = [this.toScreen(0, 0), this.toScreen(this.scene.size[1], this.scene.size[2])];
    context.save();
    context.beginPath(); // coarse pixels may reach beyond the end of the image
    context.rect(top[0], top[1], bottom[0] - top[0], bottom[1] - top[1]);
    context.clip();
    for (const layer of this.scene.layers) {
      if (!layer.on) continue;
      if (layer.kind === "image") {
        this.drawLayer(layer, context);
        continue;
      }
      const over = this.over.getContext("2d");
      over.clearRect(0, 0, this.over.width, this.over.height);
      this.drawLayer(layer, over);
      context.globalAlpha = layer.opacity;
      context.drawImage(this.over, 0, 0);
      context.globalAlpha = 1;
    }
    context.restore();
    this.drawBar(context);
    this.canvas.dataset.state = this.tiles.waiting ? "loading" : "ready";
  }

  /** Draw the visible tiles of the sheet that suits the zoom; coarser ones show where it is still on its way. */
  drawLayer(layer, context) {
    const sheets = this.tiles.sheets(layer, this.frame);
    if (!sheets.length) return;
    let best = sheets.findIndex((sheet) => sheet.step[1] * this.zoom <= 1.01);
    if (best < 0) best = sheets.length - 1;
    this.canvas.dataset[layer.kind] = sheets[best].step[1];
    const missing = this.visible(sheets[best]).some(
      ([row, column]) => !this.tiles.picture(layer, sheets[best], this.frame, row, column));
    for (const sheet of missing ? sheets.slice(0, best + 1) : [sheets[best]]) {
      context.imageSmoothingEnabled = layer.kind === "image" && sheet.step[1] * this.zoom < 1;
      for (const [row, column] of this.visible(sheet)) {
        if (sheet !== sheets[best] && sheet !== sheets[0] && !this.known(layer, sheet, row, column)) continue;
        const picture = this.tiles.picture(layer, sheet, this.frame, row, column);
        if (!picture) continue;
        const place = this.tiles.place(layer, sheet, row, column);
        const space = (edge, axis) => sheet.offset[axis] + edge * sheet.step[axis];
        // Whole pixels of the screen, so that no seams are seen where tiles meet.
        const [left, top] = this.toScreen(space(place.top, 0), space(place.left, 1)).map(Math.round);
        const [right, bottom] = this.toScreen(space(place.bottom, 0), space(place.right, 1)).map(Math.round);
        context.clearRect(left, top, right - left, bottom - top);
        context.drawImage(picture, left, top, right - left, bottom - top);
      }
    }
  }

  known(layer, sheet, row, column) {
    return this.tiles.values.get(`${layer.number}/${sheet.number}/${this.frame}/${row}/${column}`);
  }

  /** Rows and columns of the tiles of a sheet that the canvas shows. */
  visible(sheet) {
    const edge = this.scene.tile, found = [];
    const [y0, x0] = this.toSpace(0, 0), [y1, x1] = this.toSpace(this.canvas.width, this.canvas.height);
    const range = (low, high, axis) => [
      Math.max(0, Math.floor((low - sheet.offset[axis]) / sheet.step[axis] / edge)),
      Math.min(Math.ceil(sheet.shape[axis] / edge) - 1, Math.floor((high - sheet.offset[axis]) / sheet.step[axis] / edge)),
    ];
    const rows = range(y0, y1, 0), columns = range(x0, x1, 1);
    for (let row = rows[0]; row <= rows[1]; row++) {
      for (let column = columns[0]; column <= columns[1]; column++) found.push([row, column]);
    }
    return found;
  }

  /** A scale bar of a round length, about a fifth of the canvas. */
  drawBar(context) {
    const ratio = devicePixelRatio, voxel = this.scene.step ? this.scene.step[2] : 1;
    const wanted = (this.canvas.width / 5 / this.zoom) * voxel;
    const power = 10 ** Math.floor(Math.log10(wanted));
    const length = [5, 2, 1].map((n) => n * power).find((n) => n <= wanted) || power;
    const width = (length / voxel) * this.zoom, left = 16 * ratio, bottom = this.canvas.height - 16 * ratio;
    context.fillStyle = "rgba(0, 0, 0, .55)";
    context.fillRect(left - 8 * ratio, bottom - 30 * ratio, width + 16 * ratio, 38 * ratio);
    context.fillStyle = "#fff";
    context.fillRect(left, bottom - 4 * ratio, width, 4 * ratio);
    context.font = `${13 * ratio}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.fillText(`${plain(length)} ${this.scene.unit || "voxels"}`, left + width / 2, bottom - 11 * ratio);
  }
}

/** A number with four digits that matter. */
function plain(number) {
  return String(Number(Number(number).toPrecision(4)));
}
