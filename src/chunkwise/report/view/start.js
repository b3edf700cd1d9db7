/* Put the view together, in the place of the picture that stands there for readers without scripts. */

function start() {
  const place = document.getElementById("view");
  if (!window.DecompressionStream) return; // the picture stays, with what is said below it
  const scene = JSON.parse(document.getElementById("scene").textContent);
  scene.layers.forEach((layer, number) => {
    layer.number = number;
    layer.look = 0; // counts the changes of its colours
    layer.chosen = null;
    layer.sheets.forEach((sheet, n) => { sheet.number = n; });
  });
  const canvas = make("canvas", { tabindex: "0", "aria-label": `${scene.title}: drag to move, turn the wheel to zoom` });
  const painter = new Painter(scene, canvas);
  const objects = new Objects(scene, painter);
  const under = make("div", { class: "under", text: " " });
  const button = (text, title, click) => make("button", { type: "button", text, title, "aria-label": title, on: { click } });
  const buttons = make("div", { class: "buttons", children: [
    button("+", "Zoom in", () => painter.zoomBy(1.5)),
    button("−", "Zoom out", () => painter.zoomBy(1 / 1.5)),
    button("⤢", "Show the whole image", () => painter.fit()),
  ] });
  const left = make("div", { class: "picture", children: [canvas, buttons, under] });
  const right = make("div", { class: "controls", children: [...objects.element(), ...controls(scene, painter, objects)] });
  place.replaceChildren(left, right);
  place.classList.add("alive");
  watch(scene, painter, objects, under);
  new ResizeObserver(() => painter.resize()).observe(canvas);
  painter.resize();
}

/** Mouse, fingers and keys. */
function watch(scene, painter, objects, under) {
  const { canvas } = painter, ratio = () => devicePixelRatio;
  let held = null, moved = false, turn = 0;
  const at = (event) => [event.offsetX * ratio(), event.offsetY * ratio()];
  canvas.addEventListener("pointerdown", (event) => {
    held = { left: event.clientX, top: event.clientY, y: painter.y, x: painter.x };
    moved = false;
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", async (event) => {
    if (held) {
      const across = (event.clientX - held.left) * ratio(), down = (event.clientY - held.top) * ratio();
      moved = moved || Math.hypot(across, down) > 3 * ratio();
      if (moved) painter.moveTo(held.y - down / (painter.zoom * scene.aspect), held.x - across / painter.zoom);
      return;
    }
    const mine = ++turn, [y, x] = painter.toSpace(...at(event));
    const text = await told(scene, painter, y, x);
    if (mine === turn) under.textContent = text; // else the pointer is somewhere else by now
  });
  canvas.addEventListener("pointerup", (event) => {
    if (held && !moved) objects.click(...painter.toSpace(...at(event)));
    held = null;
  });
  canvas.addEventListener("pointercancel", () => { held = null; });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    painter.zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), ...at(event));
  }, { passive: false });
  canvas.addEventListener("dblclick", (event) => painter.zoomBy(2, ...at(event)));
  canvas.addEventListener("keydown", (event) => {
    const step = canvas.width / 8 / painter.zoom;
    const does = {
      "+": () => painter.zoomBy(1.5), "=": () => painter.zoomBy(1.5), "-": () => painter.zoomBy(1 / 1.5),
      0: () => painter.fit(),
      ArrowLeft: () => painter.moveTo(painter.y, painter.x - step),
      ArrowRight: () => painter.moveTo(painter.y, painter.x + step),
      ArrowUp: () => painter.moveTo(painter.y - step / scene.aspect, painter.x),
      ArrowDown: () => painter.moveTo(painter.y + step / scene.aspect, painter.x),
      l: () => scene.layers.filter((layer) => layer.toggle).forEach((layer) => layer.toggle()),
    }[event.key];
    if (does && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      does();
    }
  });
}

/** What lies under the pointer: the place, the values of the channels, the object. */
async function told(scene, painter, y, x) {
  const [, height, width] = scene.size, row = Math.floor(y), column = Math.floor(x);
  if (row < 0 || column < 0 || row >= height || column >= width) return " ";
  const words = [`y ${row}, x ${column}`];
  if (scene.step && scene.unit) {
    words[0] += ` (${plain(row * scene.step[1])}, ${plain(column * scene.step[2])} ${scene.unit})`;
  }
  for (const layer of scene.layers.filter((one) => one.on)) {
    const found = await painter.tiles.at(layer, painter.frame, row, column);
    if (!found) continue;
    if (layer.kind === "labels") {
      if (found.number !== 0) words.push(`${layer.name}: object ${found.number}`);
      continue;
    }
    layer.channels.forEach((channel, n) => {
      if (!channel.on) return;
      const value = channel.low + (found.bytes[n] * (channel.high - channel.low)) / 255;
      words.push(`${channel.name} ${channel.exact && found.coarse === 1 ? value : `≈ ${plain(value)}`}`);
    });
  }
  return words.join(" · ");
}

start();
