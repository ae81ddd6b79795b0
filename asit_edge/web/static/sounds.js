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
    this.rows = new Map();
    world.on("labels", () => this.show());
    world.on("state", () => this.show());
    world.on("status", () => this.show_switches());
    world.on("adjusted", () => this.show());
    world.on("threshold", ({ source, label, on }) => {
      if (source === this.source) this.rows.get(label)?.(on);
    });
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
    const list = byId("sound-list");
    if (list.contains(document.activeElement) && this.rows.size === this.world.labels.length) {
      this.refresh(); // nothing is taken out of the hands
      return;
    }
    this.rows.clear();
    const labels = this.world.labels.filter(({ thresholds }) => this.source in thresholds);
    list.replaceChildren(
      ...(labels.length
        ? labels.map((label) => this.row(label))
        : [el("li", { class: "empty" }, "Nothing is reported from this source: events.only in config.yaml leaves nothing.")]),
    );
    this.find();
  }

  refresh() {
    for (const label of this.world.labels) this.rows.get(label.name)?.(label.thresholds[this.source]);
  }

  row(label) {
    const source = this.source;
    const on = label.thresholds[source];
    const quiet = this.world.quiet(source, label.name);
    const number = el("output", {}, on.toFixed(2));
    const slider = el("input", { type: "range", min: 0.01, max: 0.99, step: 0.01, "aria-label": `Threshold of ${label.name}` });
    slider.value = on;
    slider.addEventListener("input", () => (number.textContent = Number(slider.value).toFixed(2)));
    slider.addEventListener("change", () => this.say(source, "threshold", label.name, Number(slider.value), `${label.name}: from ${Number(slider.value).toFixed(2)} on`));
    this.rows.set(label.name, (value) => {
      if (value === undefined) return;
      if (document.activeElement !== slider) slider.value = value;
      number.textContent = value.toFixed(2);
    });
    const muted = this.world.muted(source, label.name);
    const mute = el("button", { class: "round", type: "button", "aria-pressed": muted }, icon(muted ? "quiet" : "loud"));
    mute.setAttribute("aria-label", `Mute ${label.name}`);
    mute.title = muted ? "Muted: report it again" : "Mute: never report it";
    mute.addEventListener("click", () => this.say(source, "report", label.name, muted, `${label.name} is ${muted ? "reported again" : "muted"}`));
    return el(
      "li",
      { class: muted || quiet ? "sound off" : "sound", "data-label": label.name },
      el("span", { class: "name" }, label.name, label.taught ? el("small", {}, " taught") : null, quiet ? el("small", {}, ` quiet until ${at(quiet)}`) : null),
      el("span", { class: "threshold" }, slider, number),
      el("span", { class: "buttons" }, this.snooze(source, label.name, quiet), mute),
    );
  }

  snooze(source, label, quiet) {
    const what = label ?? source;
    const select = el("select", { class: "snooze" }, el("option", { value: "" }, quiet ? `Until ${at(quiet)}` : "Snooze"), quiet ? el("option", { value: 0 }, "Wake up") : null, ...WHILES.map(([seconds, words]) => el("option", { value: seconds }, words)));
    select.setAttribute("aria-label", `Snooze ${what}`);
    select.addEventListener("change", () => {
      const seconds = Number(select.value);
      const words = seconds ? `${what} is quiet for ${select.selectedOptions[0].textContent.toLowerCase()}` : `${what} is awake`;
      select.value = "";
      this.say(source, "snooze", label, seconds, words);
    });
    return select;
  }

  show_switches() {
    if (!this.seen || !this.world.state) return;
    byId("switches").replaceChildren(
      ...this.world.state.sources.map((source) => {
        const [word, mood] = stateOf(source.status);
        const off = !source.listen || (source.status?.state === "muted" && source.status.detail === "switched off");
        const toggle = el("button", { class: "switch", type: "button", role: "switch", "aria-checked": !off }, el("i", {}));
        toggle.setAttribute("aria-label", `Listen to ${source.name}`);
        toggle.addEventListener("click", () => this.say(source.name, "listen", undefined, off, `${source.name} is switched ${off ? "on" : "off"}`));
        const state = el("span", { class: "state", "data-mood": mood }, word);
        return el("div", { class: "card line" }, el("strong", {}, source.name), state, el("span", { class: "buttons" }, this.snooze(source.name, undefined, this.world.quiet(source.name)), toggle));
      }),
    );
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
