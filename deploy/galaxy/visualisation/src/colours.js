// One colour for each label: neighbours in number get hues far apart, and none is black, which is the background.

const COUNT = 4093;
const GOLDEN = 0.618033988749895;

const TABLE = Array.from({ length: COUNT }, (_, index) => colourOf(index));

function colourOf(index) {
  const hue = ((index * GOLDEN) % 1) * 6;
  const saturation = index % 2 ? 0.6 : 0.85;
  const part = (offset) => {
    const distance = Math.abs(((hue + offset) % 6) - 3) - 1;
    return Math.round(255 * (1 - saturation + saturation * Math.min(1, Math.max(0, distance))));
  };
  return [part(0), part(4), part(2)];
}

/** Red, green and blue of a label; black for the background. */
export function colour(label) {
  const number = Number(label);
  return number === 0 ? [0, 0, 0] : TABLE[Math.abs(number) % COUNT];
}
