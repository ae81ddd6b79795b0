// What happens on the device, as it happens; comes back by itself where the connection is lost.

const KINDS = ["event", "status", "gap", "threshold", "adjusted", "labels", "level", "scores", "columns", "behind", "alive"];
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 15_000;
const SILENT = 12_000; // the device says something every 5 s
const HIDDEN = 20_000;

export class Live extends EventTarget {
  #source;
  #pause = FIRST_PAUSE;
  #timer;
  #heard = 0;
  #seen = true;
  #wanted = false;

  constructor() {
    super();
    setInterval(() => this.#look(), 2000);
    const hide = () => {
      clearTimeout(this.hiding);
      if (!document.hidden) this.#see(true);
      else this.hiding = setTimeout(() => this.#see(false), HIDDEN);
    };
    document.addEventListener("visibilitychange", hide);
    hide(); // it may have been opened in the background
  }

  start() {
    this.#wanted = true;
    if (this.#seen) this.#open();
  }

  stop() {
    this.#wanted = false;
    clearTimeout(this.#timer);
    this.#source?.close();
  }

  // A page that nobody sees lets go: a browser has six connections to a device, for all its pages.
  #see(seen) {
    if (seen === this.#seen) return;
    this.#seen = seen;
    if (this.#wanted && seen) this.#open();
    else {
      clearTimeout(this.#timer);
      this.#source?.close();
    }
  }

  #open() {
    clearTimeout(this.#timer);
    this.#source?.close();
    const source = new EventSource("api/live");
    this.#source = source;
    this.#heard = Date.now();
    source.onopen = () => {
      this.#pause = FIRST_PAUSE;
      this.#heard = Date.now();
      this.dispatchEvent(new Event("open"));
    };
    source.onerror = () => {
      source.close();
      if (source === this.#source) this.#again();
    };
    for (const kind of KINDS) {
      source.addEventListener(kind, (message) => {
        this.#heard = Date.now();
        this.dispatchEvent(new CustomEvent(kind, { detail: JSON.parse(message.data) }));
      });
    }
  }

  #again() {
    this.dispatchEvent(new Event("lost"));
    clearTimeout(this.#timer);
    if (!this.#wanted || !this.#seen) return;
    this.#timer = setTimeout(() => this.#open(), this.#pause);
    this.#pause = Math.min(this.#pause * 1.6, LONGEST_PAUSE);
  }

  #look() {
    if (this.#wanted && this.#source?.readyState !== EventSource.CLOSED && Date.now() - this.#heard > SILENT) {
      this.#source.close();
      this.#again();
    }
  }
}
