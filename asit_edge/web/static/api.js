// Requests. An answer that is none says why in words that can be shown.

const PATIENCE = 60_000; // milliseconds: a correction takes some seconds

export class Refusal extends Error {
  constructor(status, words) {
    super(words.slice(0, 1).toUpperCase() + words.slice(1));
    this.status = status;
  }
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", signal: AbortSignal.timeout?.(PATIENCE), ...options });
  } catch {
    throw new Refusal(0, "The device does not answer.");
  }
  let data = {};
  try {
    data = await response.json();
  } catch {
    // Not of ours: a proxy's page.
  }
  if (response.status === 401) dispatchEvent(new Event("unknown"));
  if (!response.ok) throw new Refusal(response.status, data.error ?? `The device answers with ${response.status}.`);
  return data;
}

export const get = (path) => ask(path);

export const post = (path, data = {}) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data) });

export const remove = (path) => ask(path, { method: "DELETE" });

export const command = (source, name, label, value) =>
  post(`api/sources/${encodeURIComponent(source)}/commands`, { command: name, label, value });
