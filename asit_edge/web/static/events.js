// What was heard, as a list to look through.

import { get, post } from "./api.js";
import { byId, el, fill } from "./dom.js";
import { day } from "./format.js";
import { row } from "./row.js";

const PAGE = 50;
const MOST = 500; // rows, where nobody has asked for more

export class Events {
  constructor(world) {
    this.world = world;
    this.found = [];
    this.rows = new Map(); // events, as they were told last, to their rows
    this.most = MOST;
    this.next = null;
    this.asked = 0;
    this.seen = false;
    world.on("event", (event) => this.take(event));
    world.on("labels", () => this.show_filters());
    world.on("renewed", () => this.seen && this.load());
    world.on("state", () => this.show_filters());
    for (const id of ["by-label", "by-source", "by-time", "by-day"]) byId(id).addEventListener("change", () => this.load());
    byId("filters").addEventListener("submit", (submit) => submit.preventDefault());
    byId("more").addEventListener("click", () => this.load_more());
    this.wrong = byId("wrong");
    this.wrong.querySelector(".do").addEventListener("click", () => this.say_wrong());
  }

  open(seen) {
    this.seen = seen;
    if (seen) this.load();
  }

  // From the history: this sound, and nothing else.
  choose(label) {
    this.show_filters(label);
    byId("by-label").value = label;
  }

  show_filters(extra) {
    const names = new Set(this.world.labels.map((label) => label.name));
    if (extra) names.add(extra);
    for (const event of this.found) names.add(event.label);
    const sorted = [...names].sort((one, other) => one.localeCompare(other));
    fill(byId("by-label"), [["", "Every sound"], ...sorted.map((name) => [name, name])]);
    const sources = this.world.state?.sources ?? [];
    fill(byId("by-source"), [["", "Every source"], ...sources.map(({ name }) => [name, name])]);
    byId("by-source").parentElement.hidden = sources.length < 2;
  }

  query() {
    const wanted = new URLSearchParams();
    const when = byId("by-time").value;
    byId("by-day-part").hidden = when !== "day";
    if (byId("by-label").value) wanted.set("label", byId("by-label").value);
    if (byId("by-source").value) wanted.set("source", byId("by-source").value);
    if (when === "today") wanted.set("since", new Date().setHours(0, 0, 0, 0) / 1000);
    else if (when === "day") {
      const begin = new Date(`${byId("by-day").value}T00:00`);
      if (!Number.isNaN(begin.getTime())) {
        wanted.set("since", begin.getTime() / 1000);
        begin.setDate(begin.getDate() + 1);
        wanted.set("until", begin.getTime() / 1000);
      }
    } else if (when) wanted.set("since", Math.round(Date.now() / 1000 - Number(when)));
    return wanted;
  }

  async load() {
    const asked = ++this.asked;
    const wanted = this.query();
    byId("as-csv").href = `api/events.csv?${wanted}`;
    byId("as-json").href = `api/events.json?${wanted}`;
    wanted.set("limit", PAGE);
    try {
      const { events, next } = await get(`api/events?${wanted}`);
      if (asked !== this.asked) return; // something else was chosen meanwhile
      this.found = events;
      this.most = MOST;
      this.next = events.length === PAGE ? next : null;
      this.show();
    } catch (refusal) {
      if (asked === this.asked) this.fail(refusal);
    }
  }

  async load_more() {
    const asked = ++this.asked;
    const wanted = this.query();
    wanted.set("limit", PAGE);
    wanted.set("before", this.next);
    try {
      const { events, next } = await get(`api/events?${wanted}`);
      if (asked !== this.asked) return;
      this.found.push(...events);
      this.most = Math.max(MOST, this.found.length);
      this.next = events.length === PAGE ? next : null;
      this.show();
    } catch (refusal) {
      if (asked === this.asked) this.fail(refusal);
    }
  }

  // What has just been heard goes on top, or in its place.
  take(event) {
    if (!this.seen) return;
    const place = this.found.findIndex(({ id }) => id === event.id);
    if (place >= 0) this.found[place] = { ...event, number: this.found[place].number };
    else if (event.type === "new" && this.fits(event)) {
      this.found.unshift({ ...event, number: event.seq });
      if (this.found.length > this.most) {
        this.found.pop();
        this.next = this.found.at(-1).number;
      }
    } else return;
    this.show();
  }

  fits(event) {
    const [label, source, until] = [byId("by-label").value, byId("by-source").value, this.query().get("until")];
    if (until && event.onset_epoch >= Number(until)) return false;
    return (!label || event.label === label) && (!source || event.source === source);
  }

  fail(refusal) {
    byId("event-list").replaceChildren(el("p", { class: "card empty" }, refusal.message));
    byId("more").hidden = true;
  }

  show() {
    const list = byId("event-list");
    const playing = list.querySelector(".clip")?.parentElement;
    const held = document.activeElement;
    const known = this.rows;
    this.rows = new Map();
    const options = {
      sources: this.world.sources,
      clips: this.world.state?.can.clips,
      corrects: this.world.state?.can.correct,
      onwrong: (event) => this.ask(event),
    };
    if (!this.found.length) {
      const chosen = [...this.query().keys()].length > 0;
      const words = chosen
        ? "Nothing of this was heard. Choose another sound, or a longer time."
        : "Nothing has been heard yet. What is recognised appears here, the newest first.";
      list.replaceChildren(el("p", { class: "card empty" }, words));
      byId("more").hidden = true;
      return;
    }
    const days = new Map();
    for (const event of this.found) {
      const name = day(event.onset_epoch);
      if (!days.has(name)) days.set(name, []);
      days.get(name).push(event);
    }
    list.replaceChildren(
      ...[...days].map(([name, events]) =>
        el(
          "section",
          { "aria-label": name },
          el("h3", { class: "day" }, name),
          el(
            "ol",
            { class: "card events" },
            events.map((event) => {
              const found = known.get(event) ?? (playing?.dataset.id === event.id ? playing : row(event, options));
              this.rows.set(event, found);
              return found;
            }),
          ),
        ),
      ),
    );
    if (list.contains(held)) held.focus({ preventScroll: true }); // it was taken out and put back
    byId("more").hidden = this.next === null;
  }

  ask(event) {
    this.asking = event;
    const remembers = this.world.state.about.remembers;
    this.wrong.querySelector("h2").textContent = `Was this not ${event.label}?`;
    this.wrong.querySelector(".what").textContent = remembers
      ? "What sounds like this will not be called so any more. It can be taken back."
      : "What a sound was like is not remembered here, so there is nothing to learn from. Put “teach: {remember_hours: 24}” into config.yaml and start again; directions are kept, no audio.";
    this.wrong.querySelector(".said").textContent = "";
    const button = this.wrong.querySelector(".do");
    button.hidden = !remembers;
    button.disabled = false;
    button.textContent = "It was not";
    this.wrong.showModal();
  }

  async say_wrong() {
    const button = this.wrong.querySelector(".do");
    const said = this.wrong.querySelector(".said");
    button.disabled = true;
    said.textContent = "Listening to it again …";
    try {
      said.textContent = (await post(`api/events/${encodeURIComponent(this.asking.id)}/wrong`)).said;
      button.hidden = true;
    } catch (refusal) {
      said.textContent = refusal.message;
      button.disabled = false;
    }
  }
}
