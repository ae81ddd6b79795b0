// A sound that was there, and nothing was reported.

import { post } from "./api.js";
import { byId, el, fill } from "./dom.js";

export function missed(world) {
  const dialog = byId("missed");
  const said = dialog.querySelector(".said");
  const button = dialog.querySelector(".do");
  byId("missed-open").addEventListener("click", () => {
    const then = new Date(Date.now() - 60_000);
    then.setMinutes(then.getMinutes() - then.getTimezoneOffset());
    byId("missed-at").value = then.toISOString().slice(0, 19);
    byId("known-labels").replaceChildren(...world.labels.map(({ name }) => el("option", { value: name })));
    const sources = world.state.sources.map(({ name }) => [name, name]);
    fill(byId("missed-source"), sources);
    byId("missed-source-part").hidden = sources.length < 2;
    said.textContent = !world.state.can.correct
      ? "This model cannot be corrected."
      : world.state.about.remembers
        ? ""
        : "What sounds were like is not remembered here. Put “teach: {remember_hours: 24}” into config.yaml and start again; directions are kept, no audio.";
    button.hidden = !world.state.about.remembers;
    dialog.showModal();
  });
  button.addEventListener("click", async () => {
    const at = new Date(byId("missed-at").value).getTime() / 1000;
    const label = byId("missed-label").value.trim();
    if (!label || Number.isNaN(at)) {
      said.textContent = "Say which sound, and when it began.";
      return;
    }
    button.disabled = true;
    said.textContent = "Listening to it again …";
    const told = { label, at, seconds: Number(byId("missed-seconds").value), source: byId("missed-source").value };
    try {
      said.textContent = (await post("api/missed", told)).said;
    } catch (refusal) {
      said.textContent = refusal.message;
    }
    button.disabled = false;
  });
}
