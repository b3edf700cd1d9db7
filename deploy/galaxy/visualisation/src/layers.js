// What vizarr is made to do with a label layer before it draws: its background is clear, and it goes with the image.

import { COLOURS_AXIS } from "./planes.js";

/** The properties of one of vizarr's layers, given all of them. Called by the patched viewer (build.js). */
export function drawn(properties, layers) {
  if (!isOfLabels(properties)) {
    return properties;
  }
  const image = layers.map(({ layerProps }) => layerProps).find((other) => !isOfLabels(other));
  const selections = image ? properties.selections.map((own) => inStep(own, properties, image)) : properties.selections;
  // Without a coarse picture behind it, which would shine through and double the colours.
  const clear = { useTransparentColor: true, transparentColor: [0, 0, 0], excludeBackground: true };
  return { ...properties, selections, ...clear };
}

function axesOf({ loader }) {
  return [loader].flat()[0].labels;
}

function isOfLabels(properties) {
  return axesOf(properties)[0] === COLOURS_AXIS;
}

/** A label layer's place on each axis: where the image is, as far as both have that axis. */
function inStep(own, labels, image) {
  const [place] = image.selections;
  const sizes = [labels.loader].flat()[0].shape;
  return own.map((index, axis) => {
    const there = place?.[axesOf(image).indexOf(axesOf(labels)[axis])];
    return axis === 0 || there === undefined ? index : Math.min(there, sizes[axis] - 1);
  });
}
