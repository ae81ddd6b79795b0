// Elements, made of names and texts: whatever a label or a file is called, it is text and nothing else.

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  play: "M7 5l12 7-12 7z",
  stop: "M6 6h12v12H6z",
  wrong: "M5 5l14 14M19 5L5 19",
  quiet: "M4 9h4l5-4v14l-5-4H4zM17 9l4 6M21 9l-4 6",
  loud: "M4 9h4l5-4v14l-5-4H4zM17 9.5a4 4 0 0 1 0 5M19.5 7a8 8 0 0 1 0 10",
  clock: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 8v4l3 2",
  save: "M12 4v11M7 11l5 5 5-5M5 20h14",
};

export const byId = (id) => document.getElementById(id);

export function el(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("aria-")) made.setAttribute(key, value);
    else if (value === false) continue;
    else if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key.startsWith("--")) made.style.setProperty(key, value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

// What a list of options offers; the choice stays, where it is still there.
export function fill(select, options) {
  const before = select.value;
  select.replaceChildren(...options.map(([value, text]) => el("option", { value }, text)));
  if (options.some(([value]) => value === before)) select.value = before;
}

let fading;

export function toast(text) {
  const place = byId("toast");
  place.textContent = text;
  place.classList.add("shown");
  clearTimeout(fading);
  fading = setTimeout(() => place.classList.remove("shown"), 5000);
}

const waiting = [];
let speaking;

// New events for those who listen to the page: one sentence for all of some seconds.
export function speak(text) {
  waiting.push(text);
  if (speaking) return;
  speaking = setTimeout(() => {
    speaking = undefined;
    const names = [...new Set(waiting.splice(0))];
    byId("spoken").textContent = names.length > 3 ? `${names.length} new sounds` : `Heard: ${names.join(", ")}`;
  }, 4000);
}
