// When what was heard: labels against hours, of a day or a week.

import { get } from "./api.js";
import { byId, el } from "./dom.js";
import { dayName, hour } from "./format.js";

const MOST = 20; // labels

export class History {
  constructor(world, choose) {
    this.world = world;
    this.choose = choose;
    this.days = 1;
    this.seen = false;
    world.on("event", (event) => {
      if (!this.seen || event.type !== "new") return;
      this.soon ??= setTimeout(() => {
        this.soon = undefined;
        this.load();
      }, 2000);
    });
    for (const button of document.querySelectorAll("[data-days]")) {
      button.addEventListener("click", () => {
        this.days = Number(button.dataset.days);
        for (const one of document.querySelectorAll("[data-days]")) one.setAttribute("aria-pressed", one === button);
        this.load();
      });
    }
  }

  open(seen) {
    this.seen = seen;
    if (seen) this.load();
  }

  async load() {
    const days = this.days;
    try {
      const { slot, counts } = await get(`api/history?days=${days}`);
      if (days === this.days) this.show(slot, counts);
    } catch (refusal) {
      byId("heat").replaceChildren(el("p", { class: "empty" }, refusal.message));
    }
  }

  show(slot, counts) {
    const { begins, length } = spans(this.days);
    const rows = new Map();
    for (const [label, number, count] of counts) {
      const place = Math.floor((number * slot + slot / 2 - begins[0]) / length);
      if (place < 0 || place >= begins.length) continue;
      if (!rows.has(label)) rows.set(label, { cells: new Array(begins.length).fill(0), all: 0 });
      rows.get(label).cells[place] += count;
      rows.get(label).all += count;
    }
    const sorted = [...rows].sort(([, one], [, other]) => other.all - one.all);
    if (!sorted.length) {
      byId("heat").replaceChildren(
        el("p", { class: "empty" }, `Nothing was heard in the last ${this.days === 1 ? "24 hours" : "7 days"}. Leave it listening: what was heard when is shown here.`),
      );
      return;
    }
    const most = Math.max(...sorted.flatMap(([, { cells }]) => cells));
    const head = begins.map((begin, place) => {
      const midnight = new Date(begin * 1000).getHours() === 0;
      const marked = this.days === 1 ? new Date(begin * 1000).getHours() % 6 === 0 : midnight;
      const text = this.days === 1 ? hour(begin) : dayName(begin);
      const classes = [place > 0 && midnight ? "midnight" : "", this.days === 1 && place > 20 ? "late" : ""].join(" ").trim();
      return el("th", { scope: "col", class: classes || null }, marked ? el("span", {}, text) : el("span", { class: "unseen" }, `${dayName(begin)} ${hour(begin)}`));
    });
    const body = sorted.slice(0, MOST).map(([label, { cells, all }]) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, el("button", { type: "button", onclick: () => this.choose(label), title: `Events: ${label}` }, label), el("span", { class: "all" }, all)),
        cells.map((count, place) => {
          const title = count ? `${label}: ${count}, ${dayName(begins[place])} ${hour(begins[place])} to ${hour(begins[place] + length)}` : null;
          const first = place > 0 && new Date(begins[place] * 1000).getHours() === 0;
          return el("td", { title, class: first ? "midnight" : null, "--heat": count ? 0.18 + (0.82 * Math.log(1 + count)) / Math.log(1 + most) : 0 }, count ? el("span", { class: "unseen" }, count) : null);
        }),
      ),
    );
    const words = this.days === 1 ? "Events by sound and hour, the last 24 hours" : "Events by sound and three hours, the last 7 days";
    const rest = sorted.length - MOST;
    byId("heat").replaceChildren(
      el("table", { class: this.days === 1 ? "heat" : "heat week" }, el("caption", {}, words), el("thead", {}, el("tr", {}, el("td", {}), head)), el("tbody", {}, body)),
      el("p", { class: "legend", "aria-hidden": "true" }, "once", ...[0.18, 0.4, 0.6, 0.8, 1].map((heat) => el("i", { "--heat": heat })), most > 1 ? `${most} times` : ""),
      rest > 0 ? el("p", { class: "hint" }, `And ${rest} more, heard less often.`) : "",
    );
  }
}

// Hours of the last day, or thirds of an eighth of a week: where each begins, in local time.
function spans(days) {
  const hours = days === 1 ? 1 : 3;
  const end = new Date();
  end.setMinutes(0, 0, 0);
  end.setHours(end.getHours() - (end.getHours() % hours) + hours);
  const length = hours * 3600;
  const count = (days * 24) / hours;
  const last = end.getTime() / 1000;
  return { length, begins: Array.from({ length: count }, (_, place) => last - (count - place) * length) };
}
