/* What can be switched and moved beside the picture. Text from the image is set as text, never as HTML. */

/** Make an element with text, attributes and what is in it. */
function make(tag, { text, children = [], on = {}, ...attributes } = {}) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(name, value);
  }
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
  element.append(...children);
  return element;
}

/** A row with a name and a slider. */
function slider(name, least, most, value, changed, label = name) {
  const input = make("input", { type: "range", min: least, max: most, value, "aria-label": label });
  const shown = make("output");
  const tell = (fresh) => { shown.textContent = changed(Number(input.value), fresh); };
  input.addEventListener("input", () => tell(true));
  tell(false);
  return { row: make("label", { class: "slide", children: [make("span", { text: name }), input, shown] }), input, tell };
}

/** The whole column of controls. */
function controls(scene, painter, objects) {
  const again = (layer) => {
    layer.look++;
    painter.ask();
  };
  const parts = [];
  if (scene.planes.length > 1 || scene.times.length > 1) parts.push(frames(scene, painter, objects));
  for (const layer of scene.layers) {
    parts.push(layer.kind === "image" ? channels(layer, again) : labels(layer, again, painter));
  }
  return parts;
}

/** Sliders of the plane and the time point. */
function frames(scene, painter, objects) {
  const place = [Math.max(0, scene.times.indexOf(scene.first[0])), Math.max(0, scene.planes.indexOf(scene.first[1]))];
  const show = (axis, fresh, at) => {
    place[axis] = at;
    if (!fresh) return;
    painter.frame = `${scene.times[place[0]]},${scene.planes[place[1]]}`;
    objects.frameChanged();
    painter.ask();
  };
  const rows = [];
  if (scene.planes.length > 1) {
    rows.push(slider("z", 0, scene.planes.length - 1, place[1], (at, fresh) => {
      show(1, fresh, at);
      const depth = scene.step && scene.unit ? `, ${plain(scene.planes[at] * scene.step[0])} ${scene.unit}` : "";
      return `${scene.planes[at]} (0 to ${scene.size[0] - 1})${depth}`;
    }, "Plane").row);
  }
  if (scene.times.length > 1) {
    rows.push(slider("t", 0, scene.times.length - 1, place[0], (at, fresh) => {
      show(0, fresh, at);
      const last = scene.firstTime + scene.duration - 1;
      return `${scene.times[at] + scene.firstTime} (${scene.firstTime} to ${last})`;
    }, "Time point").row);
  }
  return make("fieldset", { children: [make("legend", { text: "Plane and time" }), ...rows] });
}

/** Channels: on or off, colour, black and white. */
function channels(layer, again) {
  const rows = layer.channels.map((channel) => {
    const value = (byte) => plain(channel.low + (byte * (channel.high - channel.low)) / 255);
    const first = { black: channel.black, white: channel.white };
    const on = make("input", { type: "checkbox", "aria-label": `Show ${channel.name}` });
    on.checked = channel.on;
    on.addEventListener("change", () => {
      channel.on = on.checked;
      again(layer);
    });
    const color = make("input", { type: "color", value: channel.color, "aria-label": `Colour of ${channel.name}` });
    color.addEventListener("input", () => {
      channel.color = color.value;
      again(layer);
    });
    const end = (name) => slider(name === "black" ? "Black" : "White", 0, 255, channel[name], (byte, fresh) => {
      if (fresh) {
        channel[name] = byte;
        again(layer);
      }
      return value(byte);
    }, `${name === "black" ? "Black" : "White"} of ${channel.name}`);
    const black = end("black"), white = end("white");
    const reset = make("button", { type: "button", text: "Reset", title: "Contrast as at first", on: {
      click: () => {
        Object.assign(channel, first);
        black.input.value = first.black;
        white.input.value = first.white;
        black.tell(false);
        white.tell(false);
        again(layer);
      },
    } });
    const head = make("div", { class: "head", children: [on, color, make("strong", { text: channel.name }), reset] });
    return make("div", { class: "channel", children: [head, black.row, white.row] });
  });
  return make("fieldset", { children: [make("legend", { text: "Image" }), ...rows] });
}

/** Labels: on or off, outlines or filled, opacity, what the colours mean. */
function labels(layer, again, painter) {
  const on = make("input", { type: "checkbox", "aria-label": `Show ${layer.name}` });
  on.checked = layer.on;
  on.addEventListener("change", () => {
    layer.on = on.checked;
    painter.ask();
  });
  layer.toggle = () => on.click();
  const style = make("select", { "aria-label": `How ${layer.name} is drawn`, children: [
    make("option", { value: "outlines", text: "Outlines" }),
    make("option", { value: "filled", text: "Filled" }),
  ] });
  style.value = layer.style;
  style.addEventListener("change", () => {
    layer.style = style.value;
    again(layer);
  });
  const opacity = slider("Opacity", 0, 100, 100 * layer.opacity, (percent, fresh) => {
    layer.opacity = percent / 100;
    if (fresh) painter.ask();
    return `${percent} %`;
  }, `Opacity of ${layer.name}`);
  const legend = Object.values(layer.classes).map((kind) => {
    const patch = make("i", { class: "patch" });
    patch.style.background = `rgb(${kind.color.join(",")})`;
    return make("div", { class: "legend", children: [patch, make("span", { text: kind.name })] });
  });
  const head = make("div", { class: "head", children: [on, make("strong", { text: layer.name }), style] });
  return make("fieldset", { children: [make("legend", { text: "Labels" }), head, opacity.row, ...legend] });
}
