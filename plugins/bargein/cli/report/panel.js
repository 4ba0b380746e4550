"use strict";
// One call on the page: its canvas, its sound, and what a hand or a key does to it.

const AROUND_MS = 1000, SHORTEST_MS = 1000;

function make(tag, into, given) {
  const one = document.createElement(tag);
  Object.assign(one, given || {});
  if (into) into.append(one);
  return one;
}

class Panel {
  constructor(call, place, into, shared) {
    this.call = call;
    this.shared = shared;  // how much is shown, and which panel is in use
    this.place = place;
    this.view = { from: 0, span: 16000 };
    this.at = { ms: 0, mark: -1 };
    this.until = null;  // where playing ends
    this.hits = [];
    call.peaks = call.peaks.map(bytes);
    this.build(into);
  }

  build(into) {
    const call = this.call;
    this.root = make("section", into, { className: "call", tabIndex: 0 });
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", `${call.title}. Arrow keys move between decisions, Enter`
      + " plays two seconds around one, space plays, plus and minus zoom.");
    const bar = make("div", this.root, { className: "bar" });
    this.button = make("button", bar, { className: "play", textContent: "▶ Play", disabled: call.audio === null });
    if (call.audio === null) this.button.title = "no recording was given";
    make("h2", bar, { textContent: call.title });
    make("span", bar, { className: "tally", textContent: tally(call) });
    this.clock = make("span", bar, { className: "clock" });
    this.map = make("canvas", this.root, { className: "map" });
    this.canvas = make("canvas", this.root, { className: "lanes" });
    this.now = make("p", this.root, { className: "now" });
    this.now.setAttribute("aria-live", "polite");
    const count = call.marks.length;
    this.now.textContent = count
      ? `The arrow keys move between ${count} ${call.decides ? "decisions" : "cuts"}.`
      : "Nothing was decided in this call, and nothing was cut.";
    this.button.addEventListener("click", () => this.toggle());
    this.root.addEventListener("focusin", () => this.shared.use(this));
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.pointers();
  }

  // --- what is shown ---

  get span() { return Math.min(this.view.span, this.call.until); }

  show(ms, part = 0.2) {
    this.view.from = clamp(ms - this.view.span * part, 0, Math.max(0, this.call.until - this.view.span));
    this.shared.draw(this);
  }

  zoom(span, around = this.at.ms) {
    const now = this.view.span;
    const inside = around >= this.view.from && around <= this.view.from + now;
    const part = inside ? (around - this.view.from) / now : 0.5;
    const middle = inside ? around : this.view.from + now / 2;
    this.view.span = clamp(span, SHORTEST_MS, Math.max(SHORTEST_MS, this.shared.longest));
    this.show(middle, part);
  }

  draw() {
    const width = Math.floor(this.root.clientWidth - 28 + (innerWidth <= 640 ? 12 : 0));
    const wanted = layout(this.call, width).height, colours = this.shared.colours;
    const big = sized(this.canvas, width, wanted);
    this.hits = drawCall(big, width, this.call, this.view, this.at, colours);
    drawMap(sized(this.map, width, 34), width, 34, this.call, this.view, this.at, colours);
    this.clock.textContent = `${clock(this.at.ms, 1)} / ${clock(this.call.until)}`;
    this.root.dataset.at = Math.round(this.at.ms);
    this.root.dataset.mark = this.at.mark;
  }

  // --- decisions ---

  select(number, shown = true) {
    const mark = this.call.marks[number];
    if (!mark) return;
    this.at = { ms: mark.at_ms, mark: number };
    this.now.replaceChildren();
    make("b", this.now, { textContent: `${clock(mark.at_ms, 2)}  ${told(mark)}` });
    this.now.append(["", since(this.call, mark), mark.detail, `line ${mark.line} of ${this.call.file}`]
      .filter((part, n) => part || !n).join(" · "));
    const inside = mark.at_ms > this.view.from && mark.at_ms < this.view.from + this.view.span * 0.9;
    if (shown && !inside) this.show(mark.at_ms, 0.4);
    this.shared.draw(this);
  }

  step(by) {
    const marks = this.call.marks;
    let to = this.at.mark + by;
    const on = this.at.mark >= 0 && marks[this.at.mark].at_ms === this.at.ms;
    if (!on) {
      const next = firstAt(marks, this.at.ms, (one) => one.at_ms);
      to = by > 0 ? next : next - 1;
    }
    this.select(clamp(to, 0, marks.length - 1));
  }

  // --- sound ---

  sound() {
    if (this.audio) return this.audio;
    const block = document.getElementById(`audio-${this.place}`);
    const blob = new Blob([bytes(block.textContent)], { type: "audio/wav" });
    block.remove();
    this.audio = new Audio(URL.createObjectURL(blob));
    this.audio.addEventListener("ended", () => this.pause());
    return this.audio;
  }

  async play(from = this.at.ms, until = null) {
    if (this.call.audio === null) return;
    // The recordings stand at the end of the file, so that a long call is seen before they are read.
    if (document.readyState === "loading")
      await new Promise((done) => addEventListener("DOMContentLoaded", done, { once: true }));
    const audio = this.sound();
    this.shared.use(this);
    this.shared.hush(this);
    this.until = until;
    audio.currentTime = Math.max(0, (from - this.call.audio) / 1000);
    this.button.textContent = "❚❚ Pause";
    this.playing = true;
    try {
      await audio.play();
    } catch (error) {
      this.pause();
      this.now.textContent = "This browser does not play the recording.";
      return;
    }
    this.follow();
  }

  pause() {
    this.playing = false;
    if (this.audio) this.audio.pause();
    this.button.textContent = "▶ Play";
    this.shared.draw(this);
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play(this.at.ms >= this.call.until - 50 ? 0 : this.at.ms);
  }

  follow() {
    if (!this.playing) return;
    const ms = this.audio.currentTime * 1000 + this.call.audio;
    this.at.ms = this.until === null ? ms : Math.min(ms, this.until);
    if (this.until !== null && ms >= this.until) this.pause();
    const into = (this.at.ms - this.view.from) / this.view.span;
    if (into < 0 || into > 0.92) this.show(this.at.ms, 0.1);
    this.shared.draw(this);
    requestAnimationFrame(() => this.follow());
  }

  around(number) {
    this.select(number);
    const ms = this.call.marks[number].at_ms;
    this.play(ms - AROUND_MS, ms + AROUND_MS);
  }

  // --- hands ---

  key(event) {
    if (event.altKey || event.metaKey || event.ctrlKey) return;
    const on_button = event.target === this.button;
    const does = {
      ArrowRight: () => this.step(1),
      ArrowLeft: () => this.step(-1),
      Home: () => this.select(0),
      End: () => this.select(this.call.marks.length - 1),
      Enter: on_button ? null : () => this.at.mark >= 0 && this.around(this.at.mark),
      " ": on_button ? null : () => this.toggle(),
      "+": () => this.shared.zoom(0.5),
      "=": () => this.shared.zoom(0.5),
      "-": () => this.shared.zoom(2),
    }[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  }

  pointers() {
    let held = null;
    const ms_at = (event, canvas, from, span) => {
      const box = canvas.getBoundingClientRect(), left = box.width < NARROW ? 0 : GUTTER;
      return from + clamp((event.clientX - box.left - left) / (box.width - left), 0, 1) * span;
    };
    const over = (event) => {
      const box = this.canvas.getBoundingClientRect();
      const x = event.clientX - box.left, y = event.clientY - box.top;
      const found = this.hits.filter((hit) => x >= hit.x0 && x <= hit.x1 && y >= hit.y0 && y <= hit.y1);
      return found.find((hit) => hit.mark !== undefined) || found[0];
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      held = { x: event.clientX, from: this.view.from, moved: false };
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (held) {
        const box = this.canvas.getBoundingClientRect();
        const moved = ((event.clientX - held.x) / (box.width - GUTTER)) * this.view.span;
        held.moved = held.moved || Math.abs(event.clientX - held.x) > 4;
        if (held.moved) {
          tip(null);
          this.show(held.from - moved, 0);
        }
        return;
      }
      const found = over(event);
      this.canvas.style.cursor = found ? "pointer" : "";
      tip(found ? this.says(found) : null, event.clientX, event.clientY);
    });
    this.canvas.addEventListener("pointerup", (event) => {
      const was = held;
      held = null;
      if (!was || was.moved) return;
      const found = over(event);
      this.root.focus({ preventScroll: true });
      if (found && found.mark !== undefined) this.around(found.mark);
      else this.seek(ms_at(event, this.canvas, this.view.from, this.view.span));
    });
    this.canvas.addEventListener("pointercancel", () => { held = null; });
    this.canvas.addEventListener("pointerleave", () => tip(null));
    this.canvas.addEventListener("wheel", (event) => {
      if (event.ctrlKey) this.zoom(this.view.span * Math.exp(event.deltaY / 200), ms_at(event, this.canvas, this.view.from, this.view.span));
      else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.show(this.view.from + (event.deltaX / 800) * this.view.span, 0);
      else return;
      event.preventDefault();
    }, { passive: false });
    this.map.addEventListener("pointerdown", (event) => {
      const ms = ms_at(event, this.map, 0, this.call.until);
      this.seek(ms);
      this.show(ms, 0.3);
    });
  }

  seek(ms) {
    this.at.ms = clamp(ms, 0, this.call.until);
    if (this.playing) this.play(this.at.ms);
    this.shared.draw(this);
  }

  says(hit) {
    if (hit.mark === undefined) return hit.text;
    const mark = this.call.marks[hit.mark];
    return [told(mark), since(this.call, mark), mark.detail, `line ${mark.line}`].filter(Boolean).join("\n");
  }
}

function told(mark) {
  return mark.says + (mark.kind ? ` (${mark.kind})` : "") + (mark.reason ? `: ${mark.reason}` : "");
}

function since(call, mark) {
  const spoke = call.vad.filter((span) => span[0] <= mark.at_ms);
  const ms = spoke.length ? mark.at_ms - spoke[spoke.length - 1][0] : Infinity;
  return ms < 15000 ? `${ms} ms after the caller began to speak` : "";
}

function tally(call) {
  const count = call.marks.length;
  const cuts = call.marks.filter((one) => one.type === "Cut").length;
  if (!call.decides) return `the host alone decides: it cut the agent off ${cuts} ${cuts === 1 ? "time" : "times"}, and does not say why`;
  return `${count} ${count === 1 ? "decision" : "decisions"}, each with its reason`;
}

function sized(canvas, width, height) {
  const dense = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * dense) || canvas.height !== Math.round(height * dense)) {
    canvas.width = Math.round(width * dense);
    canvas.height = Math.round(height * dense);
    canvas.style.height = `${height}px`;
  }
  const g = canvas.getContext("2d");
  g.setTransform(dense, 0, 0, dense, 0, 0);
  return g;
}

function bytes(base64) {
  const text = atob(base64), found = new Uint8Array(text.length);
  for (let n = 0; n < text.length; n++) found[n] = text.charCodeAt(n);
  return found;
}

function clamp(value, low, high) { return Math.min(Math.max(value, low), high); }

function tip(text, x = 0, y = 0) {
  const box = document.getElementById("tip");
  box.hidden = !text;
  if (!text) return;
  box.textContent = text;
  const { width, height } = box.getBoundingClientRect();
  box.style.left = `${clamp(x + 14, 6, innerWidth - width - 6)}px`;
  box.style.top = `${y + 18 + height > innerHeight ? y - height - 10 : y + 18}px`;
}
