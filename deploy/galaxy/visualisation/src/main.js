// Galaxy's page of this visualisation: one dataset, and labels over their image.

import { fits, openImage } from "./image.js";
import { PlaneStore } from "./planes.js";
import { askJson, DatasetStore } from "./store.js";

/** Nothing is loaded from another server, whatever a library or an image asks for. Decoders make functions out of text. */
const POLICY =
  "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; " +
  "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; connect-src 'self' data: blob:";

const STYLE = `
  html, body, #app { height: 100%; margin: 0; background: #000; color: #fff; font: 14px sans-serif; overflow: hidden; }
  #viewer { position: absolute; inset: 0; }
  #choice { position: absolute; right: 8px; bottom: 8px; z-index: 2; background: #222c; padding: 6px 8px; border-radius: 4px; }
  #choice select { max-width: 22em; margin-left: 6px; }
  #message { position: absolute; left: 20%; right: 20%; top: 30%; z-index: 3; text-align: center; font-size: 120%; }
`;

const IMAGE_TYPES = ["ome_zarr", "zarr"];
/** deck.gl takes it to the power of 1/2.2: a quarter lets half of the image through. */
const LABELS_OPACITY = 0.25;

/** The part of the page that the whole image fills at first. */
const FILLED = 0.9;

/** How many datasets of the history are offered. */
const OFFERED = 200;

const app = document.querySelector("#app");
const incoming = JSON.parse(app.getAttribute("data-incoming"));
const root = incoming.root;

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function say(sentence) {
  document.querySelector("#message")?.remove();
  if (sentence) {
    app.append(element("div", { id: "message", textContent: sentence }));
  }
}

/** A dataset and the image in it. */
async function open(id) {
  const dataset = await askJson(root, `datasets/${encodeURIComponent(id)}`);
  if (!dataset) {
    throw new Error("There is no such dataset.");
  }
  if (dataset.state === "deferred") {
    throw new Error(
      "This image was not copied into Galaxy: it stays on the storage, where this page cannot read it. " +
        "Look at it with the tool Inspect an image.",
    );
  }
  return { dataset, image: await openImage(new DatasetStore(root, dataset)) };
}

/** The image that labels were made from, if it is a dataset of this Galaxy that can be shown under them. */
async function imageUnder(labels) {
  const job = labels.dataset.creating_job && (await askJson(root, `jobs/${labels.dataset.creating_job}`).catch(() => null));
  for (const { id, src } of Object.values(job?.inputs ?? {})) {
    const candidate = src === "hda" && (await open(id).catch(() => null));
    if (candidate && !candidate.image.isLabels && fits(candidate.image, labels.image)) {
      return candidate;
    }
  }
  return null;
}

/** The other images of the same history, newest first. */
async function others({ id, history_id: history }) {
  const query = `v=dev&q=deleted&qv=false&q=extension-in&qv=${IMAGE_TYPES.join(",")}&order=hid-dsc&limit=${OFFERED}`;
  const contents = await askJson(root, `histories/${history}/contents?${query}`).catch(() => null);
  return (contents ?? []).filter((other) => other.state === "ok" && other.id !== id);
}

let viewer;

/** Show an image, and labels over it where both are there. */
async function show(image, labels) {
  viewer?.destroy();
  document.querySelector("#viewer")?.remove();
  const place = element("div", { id: "viewer" });
  app.prepend(place);
  // The viewer looks at the page when it is loaded, so that the page has to be made first.
  const { createViewer } = await import("vizarr");
  viewer = await createViewer(place);
  viewer.setViewState(wholeOf((image ?? labels).image));
  const add = ({ image: opened, dataset }, opacity) =>
    viewer.addImage({ source: new PlaneStore(opened, complain), name: dataset.name, opacity });
  if (image) {
    await add(image, 1);
  }
  if (labels) {
    await add(labels, image ? LABELS_OPACITY : 1);
  }
}

/** Where one has to look to see all of an image. */
function wholeOf({ levels }) {
  const [rows, columns] = levels[0].shape.slice(-2);
  const scale = FILLED * Math.min(window.innerWidth / columns, window.innerHeight / rows);
  return { zoom: Math.log2(scale), target: [columns / 2, rows / 2] };
}

function complain(error) {
  say(`A part of this image could not be read. ${error.message}`);
}

/** Let the user choose what goes with the dataset: labels over an image, or the image under labels. */
async function offer(main, partner) {
  const what = main.image.isLabels ? "Image under these labels" : "Labels over this image";
  const select = element("select", {}, element("option", { value: "", textContent: "none" }));
  for (const { id, hid, name } of await others(main.dataset)) {
    select.append(element("option", { value: id, textContent: `${hid}: ${name}` }));
  }
  select.value = partner?.dataset.id ?? "";
  select.addEventListener("change", () => {
    say("");
    withPartner(main, select.value).catch((error) => say(error.message));
  });
  app.append(element("label", { id: "choice", textContent: what }, select));
}

async function withPartner(main, id) {
  const partner = id ? await open(id) : null;
  const [image, labels] = main.image.isLabels ? [partner, main] : [main, partner];
  if (partner && !fits(image.image, labels.image)) {
    throw new Error("These two do not fit: labels are shown over an image of the same size.");
  }
  // Whatever was chosen to lie over an image is shown as labels: one colour for each number.
  await show(image, labels && { ...labels, image: { ...labels.image, isLabels: true } });
}

async function start() {
  document.head.append(
    element("meta", { httpEquiv: "Content-Security-Policy", content: POLICY }),
    element("style", { textContent: STYLE }),
  );
  const main = await open(incoming.visualization_config.dataset_id);
  const partner = main.image.isLabels ? await imageUnder(main) : null;
  await show(main.image.isLabels ? partner : main, main.image.isLabels ? main : null);
  await offer(main, partner);
}

start().catch((error) => say(error.message));
