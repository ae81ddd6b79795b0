// What every source hears at this moment.

import { byId, el } from "./dom.js";
import { percent, stateOf } from "./format.js";
import { row } from "./row.js";
import { Spectrogram } from "./spectrogram.js";

const LATEST = 9;
const SCORES = 5;
const QUIETEST = -80; // dBFS at the left end of the meter

class SourceCard {
  constructor(name) {
    this.canvas = el("canvas", { class: "spectrogram", role: "img", "aria-label": `Spectrogram of ${name}: the last seconds` });
    this.state = el("span", { class: "state" });
    this.detail = el("p", { class: "detail" });
    this.level = el("span", { class: "decibels" });
    this.meter = el("div", { class: "meter", role: "meter", "aria-label": `Level of ${name}`, "aria-valuemin": QUIETEST, "aria-valuemax": 0 }, el("i", {}), el("b", {}));
    this.scores = el("ol", { class: "scores", "aria-label": `Highest scores of ${name} now` });
    this.rows = new Map();
    this.node = el(
      "article",
      { class: "card source-card unheard", "data-source": name, "aria-label": name },
      el("div", { class: "heading" }, el("h3", {}, name), this.state, this.level),
      this.detail,
      el("div", { class: "frame" }, this.canvas),
      this.meter,
      el("div", { class: "heard-now" }, this.scores, el("p", { class: "nothing" }, "Nothing stands out.")),
    );
    this.spectrogram = new Spectrogram(this.canvas);
    this.show_scores([]);
  }

  show_status(status) {
    const [word, mood] = stateOf(status);
    this.state.textContent = word;
    this.state.dataset.mood = mood;
    this.detail.textContent = status?.detail ?? "";
    this.node.classList.toggle("deaf", mood !== "good");
    if (mood !== "good") {
      this.show_level(undefined);
      this.show_scores([]);
    }
  }

  add(columns) {
    this.node.classList.remove("unheard");
    this.spectrogram.add(columns);
  }

  show_level(level) {
    const place = (value) => Math.min(Math.max(1 - value / QUIETEST, 0), 1);
    this.meter.style.setProperty("--level", level ? place(level.dbfs) : 0);
    this.meter.style.setProperty("--peak", level ? place(level.peak_dbfs) : 0);
    this.meter.setAttribute("aria-valuenow", level ? Math.round(Math.max(level.dbfs, QUIETEST)) : QUIETEST);
    this.meter.setAttribute("aria-valuetext", level ? `${Math.round(level.dbfs)} decibels` : "nothing");
    this.level.textContent = level ? `${level.dbfs.toFixed(0)} dBFS` : "";
  }

  // The same places all the time: nothing jumps while it is read.
  show_scores(scores, thresholds) {
    this.node.classList.toggle("quiet-now", !scores.length);
    if (!this.scores.children.length) {
      for (let place = 0; place < SCORES; place++) {
        const bar = el("i", {});
        const on = el("b", {});
        const name = el("span", { class: "name" });
        const score = el("span", { class: "score" });
        this.scores.append(el("li", {}, name, el("span", { class: "bar", "aria-hidden": "true" }, bar, on), score));
        this.rows.set(place, { name, bar, score, on });
      }
    }
    for (let place = 0; place < SCORES; place++) {
      const { name, bar, score, on } = this.rows.get(place);
      const one = scores[place];
      const threshold = one && thresholds?.get(one.label);
      const item = name.parentElement;
      item.classList.toggle("over", Boolean(one && one.score >= threshold));
      on.style.setProperty("--on", threshold ?? 2);
      item.classList.toggle("empty", !one);
      name.textContent = one?.label ?? "";
      bar.style.setProperty("--score", one?.score ?? 0);
      score.textContent = one ? percent(one.score) : "";
    }
  }
}

export class Now {
  constructor(world) {
    this.world = world;
    this.cards = new Map();
    this.seen = false;
    world.on("state", () => this.show());
    world.on("events", () => this.show_latest());
    world.on("status", (status) => this.cards.get(status.source)?.show_status(status));
    world.on("level", (level) => this.cards.get(level.source)?.show_level(level));
    world.on("scores", (told) => this.cards.get(told.source)?.show_scores(told.scores, world.thresholds(told.source)));
    world.on("columns", (told) => this.cards.get(told.source)?.add(told));
    world.on("renewed", () => {
      for (const card of this.cards.values()) card.spectrogram.forget((event) => event.type !== "end" && !world.events.has(event.id));
    });
    world.on("event", (event) => this.cards.get(event.source)?.spectrogram.mark(event));
    requestAnimationFrame((now) => this.frame(now));
  }

  open(seen) {
    this.seen = seen;
  }

  show() {
    for (const source of this.world.state.sources) {
      if (!this.cards.has(source.name)) {
        const card = new SourceCard(source.name);
        this.cards.set(source.name, card);
        byId("sources").append(card.node);
      }
      const card = this.cards.get(source.name);
      card.show_status(source.status);
      card.show_level(source.level ?? undefined);
      card.show_scores(source.scores, this.world.thresholds(source.name));
      for (const event of this.world.state.active) if (event.source === source.name) card.spectrogram.mark(event);
    }
    this.show_latest();
  }

  show_latest() {
    const events = this.world.latest(LATEST);
    const options = { sources: this.world.sources, compact: true };
    byId("latest").replaceChildren(
      ...(events.length
        ? events.map((event) => row(event, options))
        : [el("li", { class: "empty" }, "Nothing yet. Clap, whistle or jingle some keys: what is recognised appears here.")]),
    );
  }

  frame(now) {
    if (this.seen && !document.hidden) for (const card of this.cards.values()) card.spectrogram.draw(now);
    requestAnimationFrame((next) => this.frame(next));
  }
}
