// One event as a row: when, what, how surely, where, how long; to be played, and to be put right.

import { get } from "./api.js";
import { el, icon } from "./dom.js";
import { at, lasting, percent } from "./format.js";
import { drawClip } from "./spectrogram.js";

let open; // the row whose clip is played

export function row(event, { sources, clips, corrects, onwrong, compact }) {
  const going = event.duration === null && event.type !== "end";
  const bar = el("span", { class: "bar", "aria-hidden": "true" }, el("i", { "--score": event.peak }));
  const where = sources.length > 1 || !sources.includes(event.source) ? el("span", { class: "source" }, event.source) : null;
  const length = el("span", { class: "length" }, going ? "now" : lasting(event.duration));
  const item = el(
    "li",
    { class: going ? "event going" : "event", "data-id": event.id, "data-label": event.label },
    el("time", { datetime: event.onset, title: new Date(event.onset_epoch * 1000).toLocaleString() }, at(event.onset_epoch)),
    el(
      "span",
      { class: "name" },
      event.label,
      event.also.length && !compact ? el("small", {}, ` with ${event.also.join(", ")}`) : null,
      event.replayed && !compact ? el("small", {}, " told late") : null,
    ),
    el("span", { class: "sure" }, bar, el("span", { class: "score" }, percent(event.peak))),
    where,
    length,
  );
  if (compact) return item;
  const actions = el("span", { class: "buttons" });
  if (clips && event.clip) {
    const play = el("button", { class: "round play", type: "button", "aria-expanded": "false" }, icon("play"));
    play.setAttribute("aria-label", `Play ${event.label}, ${at(event.onset_epoch)}`);
    play.addEventListener("click", () => toggle(item, play, event));
    actions.append(play);
  }
  if (corrects) {
    const wrong = el("button", { class: "quiet wrong-one", type: "button", onclick: () => onwrong(event) }, "Wrong");
    wrong.setAttribute("aria-label", `Wrong: this was not ${event.label}, ${at(event.onset_epoch)}`);
    actions.append(wrong);
  }
  item.append(actions);
  return item;
}

function toggle(item, play, event) {
  const was = open;
  if (was) close();
  if (was?.item === item) return;
  const path = `clips/${encodeURIComponent(event.id)}`;
  const canvas = el("canvas", { class: "picture", role: "img", "aria-label": `Spectrogram of the clip of ${event.label}` });
  const head = el("i", { class: "head" });
  const audio = el("audio", { controls: true, src: path, preload: "auto" });
  const problem = el("p", { class: "said" });
  const save = el("a", { class: "quiet", href: `${path}?download=1`, download: true }, icon("save"), "Save");
  const panel = el("div", { class: "clip" }, el("div", { class: "drawn" }, canvas, head), el("div", { class: "player" }, audio, save), problem);
  item.append(panel);
  panel.scrollIntoView({ block: "nearest" });
  play.replaceChildren(icon("stop"));
  play.setAttribute("aria-expanded", "true");
  open = { item, panel, play, audio };
  audio.addEventListener("timeupdate", () => {
    head.style.setProperty("--at", audio.duration ? audio.currentTime / audio.duration : 0);
  });
  audio.addEventListener("error", () => {
    problem.textContent = "The clip cannot be played: it is not there yet, or not any more.";
  });
  canvas.addEventListener("click", (where) => {
    if (audio.duration) audio.currentTime = (where.offsetX / canvas.clientWidth) * audio.duration;
  });
  audio.play().catch(() => {});
  get(`api/events/${encodeURIComponent(event.id)}/spectrogram`)
    .then((drawing) => drawClip(canvas, drawing))
    .catch((refusal) => {
      problem.textContent = refusal.message;
    });
}

function close() {
  open.audio.pause();
  open.panel.remove();
  open.play.replaceChildren(icon("play"));
  open.play.setAttribute("aria-expanded", "false");
  open = undefined;
}
