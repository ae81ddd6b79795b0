// How well it listens.

import { byId, el } from "./dom.js";
import { at, day, lasting, stateOf } from "./format.js";

const CAUSES = {
  lost: "it was not there",
  stalled: "nothing came from it",
  overrun: "the device dropped samples",
  suspend: "the machine slept",
  "digital silence": "nothing but digital silence",
  overload: "the model could not keep up",
  muted: "switched off, or quiet hours",
  absent: "it was not there from the start",
  "no scores": "the model gave no numbers",
  restart: "the listener was not running",
};

export class Health {
  constructor(world) {
    this.world = world;
    this.seen = false;
    for (const kind of ["state", "status", "gap"]) world.on(kind, () => this.show());
  }

  open(seen) {
    this.seen = seen;
    clearInterval(this.timer);
    if (!seen) return;
    this.world.refresh();
    this.timer = setInterval(() => this.world.refresh(), 10_000);
  }

  show() {
    const { state } = this.world;
    if (!this.seen || !state) return;
    byId("health-cards").replaceChildren(this.trouble(state), this.sources(state), this.gaps(state), this.machine(state));
  }

  trouble({ delivery, waiting }) {
    const queues = Object.entries(waiting);
    const well = queues.length ? "What waits is delivered as soon as it is taken." : "All that was heard has been delivered.";
    return el(
      "article",
      { class: "card", "data-mood": delivery.problem ? "bad" : null },
      el("h3", {}, "Delivery"),
      el("p", { class: delivery.problem ? "problem" : null }, delivery.problem || well),
      facts([
        ["Waiting", queues.length ? queues.map(([sink, count]) => `${sink}: ${count}`).join(", ") : "nothing"],
        ["Given up", delivery.dropped],
        ["Refused for good", delivery.refused],
      ]),
    );
  }

  sources({ sources }) {
    return el(
      "article",
      { class: "card" },
      el("h3", {}, "Sources"),
      ...sources.map(({ name, status }) => {
        const [word, mood] = stateOf(status);
        return el(
          "section",
          { class: "part", "aria-label": name },
          el("div", { class: "heading" }, el("h4", {}, name), el("span", { class: "state", "data-mood": mood }, word)),
          status?.detail ? el("p", { class: "detail" }, status.detail) : null,
          status ? facts([["Since", `${day(Date.parse(status.since) / 1000)}, ${at(Date.parse(status.since) / 1000)}`], ["Gaps", status.gaps], ["Not heard", lasting(status.lost)]]) : null,
        );
      }),
    );
  }

  gaps({ gaps }) {
    const rows = gaps.map((gap) => {
      const begin = Date.parse(gap.from) / 1000;
      return el("li", {}, el("time", { datetime: gap.from }, `${day(begin)}, ${at(begin)}`), el("span", {}, `${gap.source}: ${CAUSES[gap.cause] ?? gap.cause}`), el("span", { class: "length" }, lasting(gap.duration)));
    });
    return el("article", { class: "card" }, el("h3", {}, "Gaps"), rows.length ? el("ol", { class: "gaps" }, rows) : el("p", {}, "None since the start: every second was heard."));
  }

  machine({ about, model, times, since, now }) {
    const milliseconds = (value) => (value === null ? "not yet known" : value < 1000 ? `${value} ms` : lasting(value / 1000));
    return el(
      "article",
      { class: "card" },
      el("h3", {}, "Model and machine"),
      facts([
        ["Model", `${model.name} ${model.version}`],
        ["Runs on", `${about.backend} (${about.provider}), ${about.precision}`],
        ["A decision takes", milliseconds(times.inference_ms)],
        ["From onset to report", times.latency_ms === null ? "not yet known" : `${milliseconds(times.latency_ms)}, at most ${milliseconds(times.latency_ms_most)}`],
        ["Running for", lasting(now - since)],
        ["ASiT Edge", about.versions.asit_edge],
        ["Python", about.versions.python],
        ["ONNX Runtime", about.versions.onnxruntime],
      ]),
    );
  }
}

const facts = (pairs) => el("dl", { class: "facts" }, pairs.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
