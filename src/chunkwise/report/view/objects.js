/* What is known of the objects: a click shows the row of one, a number takes the eye to it. */

const COLUMNS = ["label", "num_pixels", "z", "y", "x", "z0", "y0", "x0", "z1", "y1", "x1"];

class Objects {
  constructor(scene, painter) {
    this.scene = scene;
    this.painter = painter;
    this.box = make("div", { class: "row", "aria-live": "polite" });
    this.chosen = null;
    this.tables = new Map();
    this.invite();
  }

  /** Say how many objects there are, and that they can be clicked. */
  invite() {
    const counts = this.scene.layers.filter((layer) => layer.objects && layer.objects[this.time])
      .map((layer) => `${layer.name}: ${layer.objects[this.time].count}.`);
    this.say([...counts, "Click an object to see its number and size."].join(" "));
  }

  /** The controls: a number to go to, and the row. */
  element() {
    const layers = this.scene.layers.filter((layer) => layer.kind === "labels");
    if (!layers.length) return [];
    const number = make("input", { type: "text", inputmode: "numeric", placeholder: "Number", "aria-label": "Number of an object" });
    const go = make("form", { class: "head", children: [number, make("button", { text: "Go to object" })], on: {
      submit: (event) => {
        event.preventDefault();
        this.goTo(number.value.trim());
      },
    } });
    return [make("fieldset", { children: [make("legend", { text: "Object" }), go, this.box] })];
  }

  get time() {
    return this.painter.frame.split(",")[0];
  }

  /** The table of a layer at a time point, by number; null where nothing was counted. */
  async table(layer, time) {
    const packed = layer.objects[time];
    if (!packed) return null;
    const key = `${layer.number}/${time}`;
    if (!this.tables.has(key)) {
      const bytes = await inflate(bytesOf(packed.columns));
      const numbers = new Float64Array(bytes.buffer, 0, packed.rows * COLUMNS.length), rows = new Map();
      for (let i = 0; i < packed.rows; i++) {
        rows.set(String(numbers[i]), Object.fromEntries(COLUMNS.map((name, n) => [name, numbers[n * packed.rows + i]])));
      }
      this.tables.set(key, rows);
    }
    return this.tables.get(key);
  }

  /** Find what lies at a place of the space; labels on top count first. */
  async click(y, x) {
    const layers = this.scene.layers.filter((layer) => layer.kind === "labels" && layer.on).reverse();
    for (const layer of layers) {
      const found = await this.painter.tiles.at(layer, this.painter.frame, y, x);
      if (found && found.number !== 0) return this.choose(layer, found.number, found.coarse);
    }
    return this.choose(null, null, 1);
  }

  async goTo(text) {
    for (const layer of this.scene.layers.filter((one) => one.kind === "labels")) {
      const table = await this.table(layer, this.time), row = table && table.get(text);
      if (!row) continue;
      await this.choose(layer, row.label, 1);
      const size = Math.max(row.x1 - row.x0, (row.y1 - row.y0) * this.scene.aspect);
      this.painter.zoom = Math.min(16 * devicePixelRatio, this.painter.canvas.width / (6 * size));
      this.painter.moveTo(row.y + 0.5, row.x + 0.5);
      return;
    }
    this.say(`There is no object ${text} in the list of this page.`);
  }

  async choose(layer, number, coarse) {
    this.chosen = layer && { layer, number };
    for (const one of this.scene.layers) {
      const mine = one === layer ? number : null;
      if (one.kind === "labels" && one.chosen !== mine) {
        one.chosen = mine;
        one.look++;
      }
    }
    this.painter.ask();
    if (!layer) return this.say("There is no object here.");
    const facts = [["Number", String(number)], ["Labels", layer.name]];
    const kind = layer.classOf[this.time] && layer.classOf[this.time][number];
    if (kind !== undefined) facts.push(["It is", layer.classes[kind].name]);
    const table = await this.table(layer, this.time), row = table && table.get(String(number));
    if (row) facts.push(...this.facts(row));
    const notes = [];
    if (!row) notes.push("Its size is not in this page; Measure objects gives the sizes of all objects.");
    if (coarse > 1) notes.push(`Read at 1/${plain(coarse)} of the resolution: at its edge, the number may be that of a neighbour.`);
    this.show(facts, notes);
  }

  facts(row) {
    const { scene } = this, flat = scene.size[0] === 1, axes = flat ? ["y", "x"] : ["z", "y", "x"];
    const facts = [["Size", `${row.num_pixels} ${flat ? "pixels" : "voxels"}`]];
    if (scene.step && scene.unit) {
      const voxel = flat ? scene.step[1] * scene.step[2] : scene.step[0] * scene.step[1] * scene.step[2];
      facts.push([flat ? "Area" : "Volume", `${plain(row.num_pixels * voxel)} ${scene.unit}${flat ? "²" : "³"}`]);
    }
    facts.push(["Centroid", axes.map((axis) => `${axis} ${plain(row[axis])}`).join(", ")]);
    facts.push(["Box", axes.map((axis) => `${axis} ${row[axis + "0"]}:${row[axis + "1"]}`).join(", ")]);
    return facts;
  }

  frameChanged() {
    if (this.chosen) this.choose(null, null, 1);
    this.invite();
  }

  show(facts, notes) {
    const rows = facts.map(([name, value]) =>
      make("tr", { children: [make("th", { scope: "row", text: name }), make("td", { text: value })] }));
    this.box.replaceChildren(make("table", { class: "facts", children: rows }), ...notes.map((text) => make("p", { text })));
  }

  say(text) {
    this.box.replaceChildren(make("p", { text }));
  }
}
