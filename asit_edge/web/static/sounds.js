// What is reported, from which score on, and what is quiet for a while.

import { command } from "./api.js";
import { byId, el, fill, icon, toast } from "./dom.js";
import { at, stateOf } from "./format.js";

const WHILES = [
  [900, "15 minutes"],
  [3600, "1 hour"],
  [28_800, "8 hours"],
  [86_400, "A day"],
];

export class Sounds {
  constructor(world) {
    this.world = world;
    this.seen = false;
    this.rows = new Map(); // labels to what shows how it is with them
    this.switches = new Map(); // the same of sources
    world.on("labels", () => this.show());
    world.on("state", () => this.show());
    world.on("status", () => this.show_switches());
    world.on("threshold", ({ label }) => this.refresh(label));
    byId("sounds-find").addEventListener("input", () => this.find());
    byId("sounds-source").addEventListener("change", () => this.show());
  }

  open(seen) {
    this.seen = seen;
    if (seen) this.show();
  }

  get source() {
    return byId("sounds-source").value;
  }

  show() {
    if (!this.seen || !this.world.state) return;
    const sources = this.world.state.sources.map(({ name }) => [name, name]);
    fill(byId("sounds-source"), sources);
    byId("sounds-source-part").hidden = sources.length < 2;
    this.show_switches();
    const labels = this.world.labels.filter(({ thresholds }) => this.source in thresholds);
    const rows = JSON.stringify([this.source, labels.map(({ name, taught }) => [name, taught])]);
    if (rows === this.shown) {
      this.refresh(); // nothing is taken out of the hands
      return;
    }
    this.shown = rows;
    this.rows.clear();
    byId("sound-list").replaceChildren(
      ...(labels.length
        ? labels.map((label) => this.row(label))
        : [el("li", { class: "empty" }, "Nothing is reported from this source: events.only in config.yaml leaves nothing.")]),
    );
    this.refresh();
    this.find();
  }

  // Of one label, or of all.
  refresh(name) {
    for (const label of this.world.labels) if (name === undefined || name === label.name) this.rows.get(label.name)?.(label);
  }

  row({ name, taught }) {
    const source = this.source;
    const number = el("output", {});
    const slider = el("input", { type: "range", min: 0.01, max: 0.99, step: 0.01, "aria-label": `Threshold of ${name}` });
    slider.addEventListener("input", () => (number.textContent = Number(slider.value).toFixed(2)));
    slider.addEventListener("change", () => this.say(source, "threshold", name, Number(slider.value), `${name}: from ${Number(slider.value).toFixed(2)} on`));
    const mute = el("button", { class: "round", type: "button", "aria-label": `Mute ${name}` });
    mute.addEventListener("click", () => {
      const muted = this.world.muted(source, name);
      this.say(source, "report", name, muted, `${name} is ${muted ? "reported again" : "muted"}`);
    });
    const [select, show_snooze] = this.snooze(source, name);
    const until = el("small", {});
    const item = el(
      "li",
      { class: "sound", "data-label": name },
      el("span", { class: "name" }, name, taught ? el("small", {}, " taught") : null, until),
      el("span", { class: "threshold" }, slider, number),
      el("span", { class: "buttons" }, select, mute),
    );
    this.rows.set(name, ({ thresholds }) => {
      const on = thresholds[source];
      if (on === undefined) return;
      if (document.activeElement !== slider) slider.value = on;
      number.textContent = on.toFixed(2);
      const muted = this.world.muted(source, name);
      const quiet = this.world.quiet(source, name);
      mute.setAttribute("aria-pressed", muted);
      mute.title = muted ? "Muted: report it again" : "Mute: never report it";
      mute.replaceChildren(icon(muted ? "quiet" : "loud"));
      until.textContent = quiet ? ` quiet until ${at(quiet)}` : "";
      item.classList.toggle("off", Boolean(muted || quiet));
      show_snooze(quiet);
    });
    return item;
  }

  // To choose for how long, and what shows until when it is quiet.
  snooze(source, label) {
    const what = label ?? source;
    const select = el("select", { class: "snooze", "aria-label": `Snooze ${what}` });
    select.addEventListener("change", () => {
      const seconds = Number(select.value);
      const words = seconds ? `${what} is quiet for ${select.selectedOptions[0].textContent.toLowerCase()}` : `${what} is awake`;
      select.value = "";
      this.say(source, "snooze", label, seconds, words);
    });
    const show = (quiet) => {
      const choices = [["", quiet ? `Until ${at(quiet)}` : "Snooze"], ...(quiet ? [[0, "Wake up"]] : []), ...WHILES];
      if (select.options[0]?.textContent !== choices[0][1]) fill(select, choices);
    };
    return [select, show];
  }

  show_switches() {
    if (!this.seen || !this.world.state) return;
    for (const source of this.world.state.sources) {
      if (!this.switches.has(source.name)) byId("switches").append(this.switch(source.name));
      this.switches.get(source.name)(source);
    }
  }

  switch(name) {
    const toggle = el("button", { class: "switch", type: "button", role: "switch", "aria-label": `Listen to ${name}` }, el("i", {}));
    const off = () => toggle.getAttribute("aria-checked") === "false";
    toggle.addEventListener("click", () => this.say(name, "listen", undefined, off(), `${name} is switched ${off() ? "on" : "off"}`));
    const state = el("span", { class: "state" });
    const [select, show_snooze] = this.snooze(name);
    this.switches.set(name, ({ listen, status }) => {
      const [word, mood] = stateOf(status);
      state.textContent = word;
      state.dataset.mood = mood;
      toggle.setAttribute("aria-checked", listen && !(status?.state === "muted" && status.detail === "switched off"));
      show_snooze(this.world.quiet(name));
    });
    return el("div", { class: "card line" }, el("strong", {}, name), state, el("span", { class: "buttons" }, select, toggle));
  }

  find() {
    const wanted = byId("sounds-find").value.trim().toLowerCase();
    let found = 0;
    for (const item of byId("sound-list").querySelectorAll("[data-label]")) {
      item.hidden = wanted !== "" && !item.dataset.label.toLowerCase().includes(wanted);
      found += !item.hidden;
    }
    byId("sound-list").dataset.none = found ? "" : "No sound of this name is reported.";
  }

  async say(source, name, label, value, words) {
    try {
      await command(source, name, label, value);
      toast(words);
    } catch (refusal) {
      toast(refusal.message);
      this.show();
    }
  }
}
