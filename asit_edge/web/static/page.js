// The page: which view is shown, who may look, and whether the device is there.

import { get, post, remove } from "./api.js";
import { byId } from "./dom.js";
import { Events } from "./events.js";
import { stateOf } from "./format.js";
import { Health } from "./health.js";
import { History } from "./history.js";
import { Live } from "./live.js";
import { missed } from "./missed.js";
import { Now } from "./now.js";
import { Sounds } from "./sounds.js";
import { World } from "./world.js";

const live = new Live();
const world = new World(live);
const events = new Events(world);
const views = {
  now: new Now(world),
  events,
  history: new History(world, (label) => {
    events.choose(label);
    location.hash = "#events";
  }),
  sounds: new Sounds(world),
  health: new Health(world),
};
missed(world);

let admitted = false;

function show() {
  const wanted = location.hash.slice(1);
  const name = Object.hasOwn(views, wanted) ? wanted : "now";
  byId("login").hidden = admitted;
  for (const [one, view] of Object.entries(views)) {
    byId(one).hidden = !admitted || one !== name;
    view.open(admitted && one === name);
  }
  for (const link of document.querySelectorAll(".tabs a")) {
    const here = link.hash === `#${name}`;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.body.classList.toggle("stranger", !admitted);
  if (!admitted) byId("overall").textContent = "";
  scrollTo(0, 0);
}

function overall() {
  const place = byId("overall");
  if (!world.state) return;
  const moods = world.state.sources.map(({ status }) => stateOf(status));
  const good = moods.filter(([, mood]) => mood === "good").length;
  const worst = ["bad", "warn", "wait", "off", "good"].find((one) => moods.some(([, mood]) => mood === one));
  const [word] = moods.find(([, mood]) => mood === worst) ?? ["Starting"];
  place.textContent = moods.length > 1 && good < moods.length ? `${good} of ${moods.length} listening` : word;
  place.dataset.mood = worst ?? "wait";
}

for (const kind of ["state", "status"]) world.on(kind, overall);
world.on("state", () => {
  byId("device").textContent = world.state.device;
  document.title = `${world.state.device} · ASiT Edge`;
  byId("leave").hidden = !world.state.can.leave;
});

function lost(words) {
  byId("lost").textContent = words;
  byId("lost").hidden = !words;
  document.body.classList.toggle("lost", Boolean(words));
}

let losing;
let renewing;

async function renew() {
  clearTimeout(losing);
  clearTimeout(renewing);
  try {
    await world.begin();
    lost("");
  } catch (refusal) {
    if (!admitted || refusal.status === 401) return;
    lost(refusal.message);
    renewing = setTimeout(renew, 2000);
  }
}

live.addEventListener("open", renew);
live.addEventListener("lost", () => {
  clearTimeout(losing);
  clearTimeout(renewing);
  losing = setTimeout(() => lost("The connection to the device is lost. Trying again …"), 800);
  get("api/session")
    .then(({ needed, admitted: known }) => {
      if (needed && !known) stranger();
    })
    .catch(() => {}); // it is not there
});

function stranger() {
  clearTimeout(losing);
  if (!admitted && !byId("login").hidden) return;
  admitted = false;
  live.stop();
  lost("");
  show();
  byId("token").focus();
}

addEventListener("unknown", stranger);
addEventListener("hashchange", show);

byId("login").querySelector("form").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const problem = byId("login").querySelector(".wrong");
  problem.textContent = "";
  try {
    await post("api/session", { token: byId("token").value });
    byId("token").value = "";
    begin();
  } catch (refusal) {
    problem.textContent = refusal.message;
  }
});

byId("leave").addEventListener("click", async () => {
  await remove("api/session").catch(() => {});
  stranger();
});

async function begin() {
  try {
    const { needed, admitted: known } = await get("api/session");
    admitted = known || !needed;
  } catch (refusal) {
    lost(refusal.message);
    setTimeout(begin, 3000);
    return;
  }
  show();
  if (admitted) live.start();
  else byId("token").focus();
}

begin();
