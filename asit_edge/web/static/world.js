// What is known of the device: a picture, kept up to date by what it tells.

import { get } from "./api.js";
import { speak } from "./dom.js";

const MOST = 100; // events
const MOST_GAPS = 50;

export class World {
  #listeners = new Map();
  #waiting; // what was told while a picture is fetched that may be older

  constructor(live) {
    this.state = undefined;
    this.labels = [];
    this.events = new Map();
    for (const kind of ["level", "scores", "columns"]) live.addEventListener(kind, ({ detail }) => this.tell(kind, detail));
    const on = (kind, take) =>
      live.addEventListener(kind, ({ detail }) => {
        if (this.#waiting) this.#waiting.push(() => take(detail));
        else take(detail);
      });
    on("event", (detail) => this.heard(detail));
    on("status", (detail) => {
      const source = this.state?.sources.find(({ name }) => name === detail.source);
      if (source) source.status = detail;
      this.tell("status", detail);
    });
    on("gap", (detail) => {
      const gaps = this.state?.gaps ?? [];
      if (gaps.some(({ source, from }) => source === detail.source && from === detail.from)) return;
      gaps.unshift(detail);
      gaps.splice(MOST_GAPS);
      this.tell("gap", detail);
    });
    on("threshold", (detail) => {
      const label = this.labels.find(({ name }) => name === detail.label);
      if (label) label.thresholds[detail.source] = detail.on;
      this.tell("threshold", detail);
    });
    on("labels", () => this.learn());
    on("adjusted", (detail) => {
      const source = this.state?.sources.find(({ name }) => name === detail.source);
      const until = detail.snoozed_until && Date.parse(detail.snoozed_until) / 1000;
      if (source) Object.assign(source, { listen: detail.listen, snoozed: until });
      this.learn();
    });
    live.addEventListener("behind", () => this.begin().catch(() => {}));
  }

  on(kind, listener) {
    if (!this.#listeners.has(kind)) this.#listeners.set(kind, []);
    this.#listeners.get(kind).push(listener);
  }

  tell(kind, detail) {
    for (const listener of this.#listeners.get(kind) ?? []) listener(detail);
  }

  // All of it, anew.
  async begin() {
    const waiting = (this.#waiting ??= []);
    try {
      await this.#fetch();
    } finally {
      if (waiting === this.#waiting) this.#waiting = undefined;
      for (const take of waiting.splice(0)) take();
    }
  }

  async #fetch() {
    const [state, { labels }, { events }] = await Promise.all([get("api/state"), get("api/labels"), get("api/events?limit=20").catch(() => ({ events: [] }))]);
    this.state = state;
    this.labels = labels;
    this.events = new Map(events.reverse().map((event) => [event.id, event]));
    for (const event of state.active) this.events.set(event.id, event);
    this.tell("state");
    for (const event of this.events.values()) this.tell("event", event);
    this.tell("events");
    this.tell("renewed");
  }

  async refresh() {
    try {
      this.state = await get("api/state");
      this.tell("state");
    } catch {
      // The connection says it.
    }
  }

  async learn() {
    try {
      this.labels = (await get("api/labels")).labels;
      this.tell("labels");
    } catch {
      // The connection says it.
    }
  }

  heard(event) {
    const known = this.events.get(event.id);
    if (known && known.seq > event.seq) return;
    this.events.set(event.id, event);
    while (this.events.size > MOST) this.events.delete(this.events.keys().next().value);
    if (event.type === "new") speak(event.label);
    this.tell("event", event);
    this.tell("events");
  }

  get sources() {
    return this.state?.sources.map(({ name }) => name) ?? [];
  }

  latest(count) {
    return [...this.events.values()].sort((one, other) => other.onset_epoch - one.onset_epoch).slice(0, count);
  }

  // Until when a source, or a label of it, is quiet (seconds since the epoch); undefined if it is not.
  quiet(source, label) {
    const found = label === undefined ? this.state?.sources.find(({ name }) => name === source)?.snoozed : this.labels.find(({ name }) => name === label)?.snoozed?.[source];
    return found && found > Date.now() / 1000 ? found : undefined;
  }

  // Of a source: labels to the score from which on they are reported.
  thresholds(source) {
    return new Map(this.labels.map(({ name, thresholds }) => [name, thresholds[source]]));
  }

  muted(source, label) {
    return this.labels.find(({ name }) => name === label)?.muted?.includes(source) ?? false;
  }
}
