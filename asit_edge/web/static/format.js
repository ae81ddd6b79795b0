// Times, lengths and scores in the words of whoever looks.

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const short = new Intl.DateTimeFormat(undefined, { hour: "numeric" });
const date = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "short" });

export const at = (epoch) => clock.format(new Date(epoch * 1000));
export const hour = (epoch) => short.format(new Date(epoch * 1000));
export const dayName = (epoch) => weekday.format(new Date(epoch * 1000));
export const percent = (score) => `${Math.round(100 * score)} %`;

export function day(epoch) {
  const then = new Date(epoch * 1000);
  const now = new Date();
  if (then.toDateString() === now.toDateString()) return "Today";
  now.setDate(now.getDate() - 1);
  return then.toDateString() === now.toDateString() ? "Yesterday" : date.format(then);
}

export function lasting(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 119.5) return `${Math.round(seconds)} s`;
  if (seconds < 7170) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

export const STATES = {
  starting: ["Starting", "wait"],
  listening: ["Listening", "good"],
  silent_device: ["Silent device", "warn"],
  stalled: ["Stalled", "warn"],
  lost: ["Lost", "bad"],
  recovering: ["Recovering", "wait"],
  failed: ["Failed", "bad"],
  muted: ["Muted", "off"],
  stopped: ["Stopped", "off"],
};

export const stateOf = (status) => STATES[status?.state] ?? ["Starting", "wait"];
