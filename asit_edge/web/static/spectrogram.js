// The spectrogram of a source as it runs by, with what was recognised under it.

import { colourMap } from "./colours.js";
import { at } from "./format.js";

const BANDS = 64;
const KEPT = 2400; // columns: two minutes
const SECOND = 44; // pixels, as the page counts them
const DELAY = 0.3; // seconds: columns come in parts, and run evenly all the same
const LANES = 2;
const LANE = 24;
const RULER = 18; // pixels under the lanes, for the time
const EVERY = 5; // seconds between its marks
const FRAME = 33; // milliseconds
const CALM = 1000; // where motion is not wanted
const LOWEST = 50;
const BELOW = 12; // bytes under the usual noise that are still ground
const SPAN = 150; // bytes from ground to the loudest colour
const TICKS = [125, 500, 2000, 8000];

const mel = (hertz) => Math.log(1 + hertz / 700);
const still = matchMedia("(prefers-reduced-motion: reduce)");

export class Spectrogram {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.bytes = new Uint8Array(KEPT * BANDS);
    this.filled = new Uint8Array(KEPT);
    this.strip = Object.assign(document.createElement("canvas"), { width: KEPT, height: BANDS });
    this.stripContext = this.strip.getContext("2d");
    this.column = new ImageData(1, BANDS);
    this.pixels = new Uint32Array(this.column.data.buffer);
    this.step = 0.05;
    this.highest = 8000;
    this.newest = undefined; // number of the newest column
    this.ground = 60;
    this.offset = undefined; // from this page's clock to the time of the sound
    this.events = new Map();
    this.drawn = 0;
    this.theme();
    addEventListener("theme", () => this.theme());
  }

  theme() {
    this.colours = colourMap(document.documentElement.dataset.theme);
    const style = getComputedStyle(document.documentElement);
    this.ink = style.getPropertyValue("--ink").trim();
    this.muted = style.getPropertyValue("--muted").trim();
    this.accent = style.getPropertyValue("--accent").trim();
    this.accentInk = style.getPropertyValue("--accent-ink").trim();
    this.paper = style.getPropertyValue("--spectrogram").trim();
    for (let place = 0; place < KEPT; place++) if (this.filled[place]) this.#paint(place);
  }

  add({ epoch, step, highest, data }) {
    const text = atob(data);
    const count = text.length / BANDS;
    if (step !== this.step || highest !== this.highest) this.#forget(step, highest);
    const first = Math.round(epoch / step);
    if (this.newest !== undefined && first < this.newest - KEPT / 2) this.#forget(step, highest); // times were corrected
    const from = this.newest === undefined ? first : Math.max(this.newest + 1, first - KEPT);
    for (let number = from; number < first; number++) this.#clear(number % KEPT);
    for (let one = 0; one < count; one++) {
      const place = (first + one) % KEPT;
      let sum = 0;
      for (let band = 0; band < BANDS; band++) {
        const value = text.charCodeAt(one * BANDS + band);
        this.bytes[place * BANDS + band] = value;
        sum += value;
      }
      const mean = sum / BANDS;
      if (this.newest === undefined && one === 0) this.ground = mean;
      this.ground += (mean < this.ground ? 0.05 : 0.004) * (mean - this.ground);
      this.filled[place] = 1;
      this.#paint(place);
    }
    this.newest = first + count - 1;
    const offset = (this.newest + 1) * step - performance.now() / 1000;
    if (this.offset === undefined || Math.abs(offset - this.offset) > 1) this.offset = offset;
    else this.offset += 0.05 * (offset - this.offset);
  }

  // As it was told last.
  mark(event) {
    this.events.set(event.id, event);
    if (this.events.size > 60) this.events.delete(this.events.keys().next().value);
  }

  // Events whose end was told while nobody was there.
  forget(gone) {
    for (const event of this.events.values()) if (gone(event)) this.events.delete(event.id);
  }

  draw(now) {
    if (now - this.drawn < (still.matches ? CALM : FRAME)) return;
    this.drawn = now;
    const ratio = Math.min(devicePixelRatio || 1, 3);
    const { clientWidth, clientHeight } = this.canvas;
    if (!clientWidth) return;
    const width = Math.round(clientWidth * ratio);
    const height = Math.round(clientHeight * ratio);
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const context = this.context;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = this.paper;
    context.fillRect(0, 0, clientWidth, clientHeight);
    if (this.newest === undefined) return;
    const end = Math.min(now / 1000 + this.offset - DELAY, (this.newest + 1) * this.step);
    const sound = clientHeight - LANES * LANE - RULER;
    this.#sound(end, clientWidth, sound);
    this.#axis(sound);
    this.#lanes(end, clientWidth, sound);
    this.#ruler(end, clientWidth, clientHeight);
  }

  #sound(end, width, height) {
    const context = this.context;
    const begin = end - width / SECOND;
    const last = end / this.step;
    let number = Math.max(begin / this.step, this.newest - KEPT + 2);
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    while (number < last) {
      const place = number % KEPT;
      const columns = Math.min(KEPT - place, last - number);
      const x = (number * this.step - begin) * SECOND;
      context.drawImage(this.strip, place, 0, columns, BANDS, x, 0, columns * this.step * SECOND, height);
      number += columns;
    }
  }

  #axis(height) {
    const context = this.context;
    const span = mel(this.highest) - mel(LOWEST);
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    for (const hertz of TICKS) {
      if (hertz > this.highest) continue;
      const y = Math.min(Math.max(height * (1 - (mel(hertz) - mel(LOWEST)) / span), 9), height - 9);
      const text = hertz < 1000 ? `${hertz} Hz` : `${hertz / 1000} kHz`;
      context.lineWidth = 3;
      context.lineJoin = "round";
      context.strokeStyle = this.paper;
      context.strokeText(text, 8, y);
      context.fillStyle = this.ink;
      context.fillText(text, 8, y);
    }
  }

  #lanes(end, width, top) {
    const context = this.context;
    const begin = end - width / SECOND;
    const free = new Array(LANES).fill(-Infinity);
    context.font = "600 12px system-ui, sans-serif";
    context.textBaseline = "middle";
    const shown = [...this.events.values()].sort((one, other) => one.onset_epoch - other.onset_epoch);
    for (const event of shown) {
      const until = event.duration === null ? end : event.onset_epoch + event.duration;
      const words = context.measureText(event.label).width + 16;
      const x = (event.onset_epoch - begin) * SECOND;
      const length = Math.max((until - event.onset_epoch) * SECOND, 6);
      const taken = x + Math.max(length, words) + 6;
      if (taken < 0 || x > width) continue;
      const lane = free.findIndex((until) => until <= x);
      if (lane < 0) continue;
      free[lane] = taken;
      const y = top + lane * LANE;
      context.globalAlpha = event.type === "end" ? 0.22 : 0.42;
      context.fillStyle = this.accent;
      context.beginPath();
      context.roundRect(x, y + 3, length, LANE - 6, 5);
      context.fill();
      context.globalAlpha = 1;
      context.fillStyle = this.accent;
      context.fillRect(x, y + 3, 2, LANE - 6);
      context.fillStyle = this.ink;
      const pinned = Math.min(Math.max(x, 0), Math.max(x, x + length - words)); // in sight as long as the bar is
      context.fillText(event.label, pinned + 8, y + LANE / 2);
    }
  }

  #ruler(end, width, bottom) {
    const context = this.context;
    const begin = end - width / SECOND;
    context.font = "11px system-ui, sans-serif";
    context.fillStyle = this.muted;
    for (let mark = Math.ceil(begin / EVERY) * EVERY; mark < end + 2; mark += EVERY) {
      const x = (mark - begin) * SECOND;
      context.fillRect(x, bottom - RULER - LANES * LANE, 1, 4);
      context.fillText(at(mark), x - 1, bottom - RULER / 2 - 1);
    }
  }

  #paint(place) {
    for (let band = 0; band < BANDS; band++) {
      const value = (255 * (this.bytes[place * BANDS + band] - this.ground + BELOW)) / SPAN;
      this.pixels[BANDS - 1 - band] = this.colours[Math.min(Math.max(Math.round(value), 0), 255)];
    }
    this.stripContext.putImageData(this.column, place, 0);
  }

  #clear(place) {
    this.filled[place] = 0;
    this.stripContext.clearRect(place, 0, 1, BANDS);
  }

  #forget(step, highest) {
    this.filled.fill(0);
    this.stripContext.clearRect(0, 0, KEPT, BANDS);
    this.newest = this.offset = undefined;
    Object.assign(this, { step, highest });
  }
}

// The spectrogram of a clip, all of it.
export function drawClip(canvas, { data, bands, step }) {
  const text = atob(data);
  const count = text.length / bands;
  if (!count) return 0;
  const colours = colourMap(document.documentElement.dataset.theme);
  const strip = Object.assign(document.createElement("canvas"), { width: count, height: bands });
  const image = new ImageData(count, bands);
  const pixels = new Uint32Array(image.data.buffer);
  const values = Uint8Array.from(text, (one) => one.charCodeAt(0));
  const sorted = values.slice().sort();
  const ground = sorted[Math.floor(sorted.length * 0.35)];
  for (let column = 0; column < count; column++) {
    for (let band = 0; band < bands; band++) {
      const value = (255 * (values[column * bands + band] - ground + 6)) / SPAN;
      pixels[(bands - 1 - band) * count + column] = colours[Math.min(Math.max(Math.round(value), 0), 255)];
    }
  }
  strip.getContext("2d").putImageData(image, 0, 0);
  const ratio = Math.min(devicePixelRatio || 1, 3);
  canvas.width = Math.round(canvas.clientWidth * ratio);
  canvas.height = Math.round(canvas.clientHeight * ratio);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(strip, 0, 0, canvas.width, canvas.height);
  return count * step;
}
