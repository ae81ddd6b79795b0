// From faint to loud: colours between which lightness changes evenly (OKLab), on dark and on light ground.

const STOPS = {
  dark: ["#10171a", "#0f3d45", "#17727a", "#4fb286", "#e8c766", "#fff7e0"],
  light: ["#fbfaf6", "#d3e6e0", "#7fbdb2", "#2f8296", "#274e7c", "#1b1b3f"],
};

const linear = (byte) => {
  const value = byte / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
};

const byteOf = (value) => {
  const bounded = Math.min(Math.max(value, 0), 1);
  return Math.round(255 * (bounded <= 0.0031308 ? 12.92 * bounded : 1.055 * bounded ** (1 / 2.4) - 0.055));
};

function toLab(hex) {
  const [r, g, b] = [1, 3, 5].map((place) => linear(parseInt(hex.slice(place, place + 2), 16)));
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

function toBytes([lightness, a, b]) {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    byteOf(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    byteOf(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    byteOf(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s),
  ];
}

// 256 colours as 32-bit pixels (little-endian RGBA).
export function colourMap(theme) {
  const stops = STOPS[theme].map(toLab);
  const pixels = new Uint32Array(256);
  for (let value = 0; value < 256; value++) {
    const place = (value / 255) * (stops.length - 1);
    const index = Math.min(Math.floor(place), stops.length - 2);
    const part = place - index;
    const lab = stops[index].map((one, axis) => one + part * (stops[index + 1][axis] - one));
    const [red, green, blue] = toBytes(lab);
    pixels[value] = (255 << 24) | (blue << 16) | (green << 8) | red;
  }
  return pixels;
}
