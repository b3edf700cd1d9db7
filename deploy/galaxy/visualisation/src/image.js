// What an OME-Zarr dataset holds: its axes, its levels, its channels, and whether it is a label image.

import * as zarr from "zarrita";

const USUAL_AXES = ["t", "c", "z", "y", "x"];

/** A side of a level that stands alone longer than this is more than a graphics card takes in one piece. */
const LONGEST_SIDE = 8192;

/** Open the image of a store: `{axes, levels, omero, isLabels}`; throws a sentence for the user. */
export async function openImage(store) {
  const isMissing = (error) => zarr.isZarritaError(error, "NotFoundError");
  const otherwise = (answer) => (error) => (isMissing(error) ? answer() : Promise.reject(error));
  const missing = () => Promise.reject(new Error("There is no Zarr image in this dataset."));
  const place = zarr.root(store);
  const node = await zarr.open.v3(place).catch(otherwise(() => zarr.open.v2(place).catch(otherwise(missing))));
  if (node instanceof zarr.Array) {
    return checked({ axes: usualAxes(node.shape.length), levels: [node], omero: undefined, isLabels: false });
  }
  const attributes = node.attrs.ome ?? node.attrs;
  const multiscales = attributes.multiscales?.[0];
  if (!multiscales) {
    throw new Error("This dataset holds no single image. A plate or a collection of images cannot be shown here.");
  }
  const levels = await Promise.all(
    multiscales.datasets.map(({ path }) => zarr.open(node.resolve(path), { kind: "array" })),
  );
  const axes = multiscales.axes?.map((axis) => String(axis.name ?? axis)) ?? usualAxes(levels[0].shape.length);
  const omero = usableChannels(attributes.omero, levels[0].shape[axes.indexOf("c")] ?? 1);
  return checked({ axes, levels: halved(levels), omero, isLabels: "image-label" in attributes });
}

/** Names of axes where the metadata gives none. */
function usualAxes(count) {
  return USUAL_AXES.slice(-count);
}

/** The levels that vizarr can use: each has half the rows and columns of the one before it. */
function halved(levels) {
  const [rows, columns] = levels[0].shape.slice(-2);
  const fits = (level, index) => {
    const [height, width] = level.shape.slice(-2);
    return Math.abs(height - rows / 2 ** index) <= 1 && Math.abs(width - columns / 2 ** index) <= 1;
  };
  const first = levels.findIndex((level, index) => !fits(level, index));
  return first < 0 ? levels : levels.slice(0, first);
}

/** The channels' names, colours and contrast, if they are whole. */
function usableChannels(omero, count) {
  const channels = omero?.channels;
  const whole = ({ color, window }) =>
    /^[0-9a-f]{6}$/i.test(color) && [window?.start, window?.end].every(Number.isFinite) && window.start < window.end;
  if (!Array.isArray(channels) || channels.length !== count || !channels.every(whole)) {
    return undefined;
  }
  const named = ({ label, color, window, active }, index) => {
    return { label: String(label ?? index), color, window, active: active !== false };
  };
  return { channels: channels.map(named) };
}

function checked(image) {
  const { axes, levels } = image;
  if (axes.at(-2) !== "y" || axes.at(-1) !== "x") {
    throw new Error("Only images whose last two axes are y and x can be shown here.");
  }
  const longest = Math.max(...levels.at(-1).shape.slice(-2));
  if (longest > LONGEST_SIDE) {
    throw new Error(
      `This image has no small levels: the smallest is ${longest} voxels wide or high. Make a pyramid first, then look again.`,
    );
  }
  return image;
}

/** Whether labels fit over an image: the same size on every axis that both have. */
export function fits(image, labels) {
  const sizes = ({ axes, levels }) => new Map(axes.map((axis, index) => [axis, levels[0].shape[index]]));
  const [ofImage, ofLabels] = [sizes(image), sizes(labels)];
  return [...ofLabels].every(([axis, size]) => axis === "c" || ofImage.get(axis) === size || size === 1);
}
