"use strict";
// What does a stretch of a call look like? Pure drawing: a call, a view and colours go in.

const GUTTER = 74, NARROW = 560, FONT = "11.5px system-ui, sans-serif";
const COLOURS = {
  Cut: "bad", YieldFloor: "bad", PassFloor: "soft", DuckPlayout: "contested",
  PausePlayout: "contested", HoldFloor: "good", ResumePlayout: "good", ReportBackchannel: "good",
  DeferTurn: "caller", DeliverTurn: "caller", FileReceipt: "lock", SpeakAgain: "lock",
};
const FLOORS = { agent: "agent", user: "caller", contested: "contested" };

function palette() {
  const style = getComputedStyle(document.documentElement);
  const found = {};
  for (const name of ["paper", "card", "ink", "soft", "line", "agent", "agent-soft", "caller",
    "caller-soft", "contested", "good", "bad", "bad-soft", "lock"])
    found[name] = style.getPropertyValue("--" + name).trim();
  return found;
}

function clock(ms, fine) {
  const s = Math.max(0, ms) / 1000, m = Math.floor(s / 60);
  const rest = fine ? (s - m * 60).toFixed(fine) : String(Math.floor(s - m * 60));
  return m + ":" + rest.padStart(fine ? 3 + fine : 2, "0");
}

// A journal without transcripts has dots for words.
function kept(text) {
  if (text && !/^[· ]+$/.test(text)) return text;
  const count = text ? text.trim().split(" ").length : 0;
  return count ? `(${count} ${count === 1 ? "word" : "words"}, not kept)` : "(no words)";
}

// The first of a list, sorted by `of`, that is not before `ms`.
function firstAt(list, ms, of) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (of(list[middle]) < ms) low = middle + 1; else high = middle;
  }
  return low;
}

// Where each lane is; the labels stand in a gutter, or above it on a phone.
function layout(call, width) {
  const narrow = width < NARROW, lanes = {};
  let y = 16;
  const lane = (name, height, label) => {
    if (narrow && label) y += 3;
    lanes[name] = { y, h: height, label };
    y += height + 5;
  };
  lane("marks", call.decides ? 66 : 22, call.decides ? "decisions" : "cuts");
  lane("agent", 54, "agent");
  lane("says", 30, "");
  lane("floor", 10, "floor");
  lane("caller", 38, "caller");
  lane("vad", 6, "VAD");
  lane("heard", 16, "words");
  if (call.locks.length || call.resumes.length) lane("locks", 17, "must hear");
  return { lanes, height: y, left: narrow ? 0 : GUTTER, narrow };
}

function drawCall(g, width, call, view, at, colours) {
  const { lanes, height, left, narrow } = layout(call, width);
  const from = view.from, until = view.from + view.span;
  const scale = (width - left) / view.span;
  const x = (ms) => left + (ms - from) * scale;
  const hits = [];
  const hit = (x0, x1, lane, text, mark) =>
    hits.push({ x0: Math.min(x0, x1 - 6), x1: Math.max(x1, x0 + 6), y0: lane.y - 2, y1: lane.y + lane.h + 2, text, mark });
  g.clearRect(0, 0, width, height);
  g.font = FONT;
  g.textBaseline = "middle";

  g.save();
  g.beginPath();
  g.rect(left, 0, width - left, height);
  g.clip();
  axis(g, x, from, until, width - left, height, colours);

  // The agent: where its voice is softer, its sound, and what was never heard.
  const A = lanes.agent;
  for (const [a, b, what, , lines] of within(call.softer, from, until)) {
    g.fillStyle = colours.contested;
    g.globalAlpha = what === "paused" ? 0.28 : 0.13;
    g.fillRect(x(a), A.y, Math.max(1, x(b) - x(a)), A.h);
    g.globalAlpha = 1;
    hit(x(a), x(b), A, `the agent's voice is ${what}, ${b - a} ms\n` + at_lines(lines));
  }
  wave(g, call.peaks[0], call, A, x, from, until, scale, left, width, colours.agent);
  call.playouts.forEach((one, place) => {
    const next = call.playouts[place + 1];
    if (!call.peaks.length && one.until > from && one.from < until) {
      g.fillStyle = colours.agent;
      g.globalAlpha = 0.55;
      g.fillRect(x(one.from), A.y + A.h / 2 - 7, Math.max(1, x(one.until) - x(one.from)), 14);
      g.globalAlpha = 1;
    }
    const unheard = one.words.filter((word) => !word[2]);
    if (one.completed !== false) return;
    const last = unheard.length ? unheard[unheard.length - 1][0] + 350 : one.until + 250;
    const end = Math.min(last, next ? next.from : last);
    if (end < from || one.until > until) return;
    hatch(g, x(one.until), A.y, Math.max(3, x(end) - x(one.until)), A.h, colours);
    const text = one.unheard ? `${one.unheard} words never heard` : "cut off";
    const shown = [text, one.unheard ? `−${one.unheard} words` : ""]
      .find((one_of) => one_of && x(end) - x(one.until) > g.measureText(one_of).width + 14);
    if (shown)
      tag(g, shown, x(one.until) + 7, A.y + A.h / 2, colours.bad, colours.card);
    hit(x(one.until), x(end), A, `never heard: ${kept(unheard.map((word) => word[1]).join(" "))}\n` + at_lines(one.lines));
  });

  // What it says.
  const S = lanes.says;
  const roomy = scale * 1000 > 40;
  const ends = [-1e6, -1e6];
  let row = 1;
  call.playouts.forEach((one, place) => {
    const next = call.playouts[place + 1], words = one.words;
    for (let n = 0; n < words.length; ) {
      const [ms, , heard] = words[n];
      if (ms > until || (next && !heard && ms > next.from)) return;
      if (!roomy) {
        const to = Math.min(n + 1 < words.length ? words[n + 1][0] : ms + 300, ms + 900);
        g.fillStyle = heard ? colours.agent : colours.bad;
        g.globalAlpha = heard ? 0.5 : 0.75;
        g.fillRect(x(ms), S.y + (heard ? 8 : 11), Math.max(0.7, x(to) - x(ms) - 0.7), heard ? 8 : 3);
        g.globalAlpha = 1;
        n++;
        continue;
      }
      // A few words at a time, turn by turn on two rows: a word alone is broader than it is long.
      let many = n;
      while (many < words.length && many - n < 4 && words[many][2] === heard && !(many > n && /[.,?!]$/.test(words[many - 1][1]))) many++;
      const text = words.slice(n, many).map((word) => word[1]).join(" ");
      n = many;
      if (ms < from - 4000) continue;
      row = 1 - row;
      const begin = Math.max(x(ms), ends[row] + 7), wide = g.measureText(text).width;
      if (begin - x(ms) > 90 || (!heard && next && begin > x(next.from))) continue;
      const y = S.y + 7 + row * 15;
      g.fillStyle = heard ? colours.ink : colours.bad;
      g.fillText(text, begin, y);
      if (!heard) g.fillRect(begin, y, wide, 1);
      ends[row] = begin + wide;
    }
  });

  // Whose floor it is.
  for (const [a, b, what, , lines] of within(call.floor, from, until)) {
    if (!FLOORS[what]) continue;
    g.fillStyle = colours[FLOORS[what]];
    g.fillRect(x(a), lanes.floor.y, Math.max(1, x(b) - x(a)), lanes.floor.h);
    const who = { agent: "the agent has the floor", user: "the caller has the floor", contested: "both want the floor" };
    hit(x(a), x(b), lanes.floor, `${who[what]}, ${((b - a) / 1000).toFixed(1)} s\n` + at_lines(lines));
  }

  // The caller.
  wave(g, call.peaks[1], call, lanes.caller, x, from, until, scale, left, width, colours.caller);
  for (const [a, b, , , lines] of within(call.vad, from, until)) {
    g.fillStyle = colours.caller;
    g.fillRect(x(a), lanes.vad.y, Math.max(1, x(b) - x(a)), lanes.vad.h);
    hit(x(a), x(b), lanes.vad, `the caller speaks, ${((b - a) / 1000).toFixed(1)} s\n` + at_lines(lines));
  }
  let free = -1e6;
  for (const [a, b, , text, lines] of within(call.heard, from, until)) {
    g.fillStyle = colours.caller;
    const shown = kept(text), wide = g.measureText(shown).width;
    const begin = Math.max(x(a), free);
    if (begin - x(a) < 60 && scale * 1000 > 12) {
      g.fillText(shown, begin, lanes.heard.y + 8);
      free = begin + wide + 8;
    } else g.fillRect(x(a), lanes.heard.y + 5, Math.max(2, x(b) - x(a)), 6);
    hit(begin, Math.max(x(b), begin + wide), lanes.heard, `the caller: ${shown}\n` + at_lines(lines));
  }

  // What must be heard, and where the agent goes on.
  if (lanes.locks) {
    for (const [a, b, what, text, lines] of within(call.locks, from, until)) {
      g.fillStyle = what === "delivered" ? colours.lock : colours.bad;
      g.globalAlpha = 0.22;
      g.fillRect(x(a), lanes.locks.y, Math.max(2, x(b) - x(a)), lanes.locks.h);
      g.globalAlpha = 1;
      const shown = `must be heard: ${what}`;
      if (x(b) - x(a) > g.measureText(shown).width + 8) g.fillText(shown, Math.max(left, x(a)) + 5, lanes.locks.y + 9);
      hit(x(a), x(b), lanes.locks, `${shown}${text ? ": " + text : ""}\n` + at_lines(lines));
    }
    for (const [a, , what, text, lines] of within(call.resumes, from, until)) {
      g.fillStyle = colours.agent;
      g.fillText("▶ " + what, x(a), lanes.locks.y + 9);
      hit(x(a), x(a) + 60, lanes.locks, `${what}${text ? ": " + text : ""}\n` + at_lines(lines));
    }
  }

  marks(g, call, lanes, x, from, until, at, colours, hit, scale * 1000 < 12);
  cursor(g, x(at.ms), height, colours);
  g.restore();
  labels(g, lanes, narrow, colours);
  return hits;
}

function at_lines(lines) {
  const shown = lines.slice(0, 12).join(", ");
  return `${lines.length === 1 ? "line" : "lines"} ${shown}${lines.length > 12 ? ` and ${lines.length - 12} more` : ""}`;
}

function within(spans, from, until) {
  return spans.filter((span) => span[1] >= from && span[0] <= until);
}

function axis(g, x, from, until, width, height, colours) {
  const steps = [500, 1000, 2000, 5000, 10000, 30000, 60000, 120000, 300000, 600000];
  const step = steps.find((one) => (one / (until - from)) * width > 64) || 1800000;
  for (let ms = Math.ceil(from / step) * step; ms <= until; ms += step) {
    g.fillStyle = colours.line;
    g.fillRect(Math.round(x(ms)), 14, 1, height - 14);
    g.fillStyle = colours.soft;
    g.fillText(clock(ms, step < 1000 ? 1 : 0), x(ms) + 3, 7);
  }
}

function wave(g, peaks, call, lane, x, from, until, scale, left, width, colour) {
  const middle = lane.y + lane.h / 2;
  g.fillStyle = colour;
  g.globalAlpha = 0.35;
  g.fillRect(left, middle - 0.5, width - left, 1);
  g.globalAlpha = 1;
  if (!peaks) return;
  const per_px = 1 / scale / 10;  // peaks are hundredths of a second
  for (let px = left; px < width; px++) {
    const begin = (from + (px - left) / scale - call.audio) / 10;
    let loud = 0;
    for (let n = Math.max(0, Math.floor(begin)); n < Math.min(peaks.length, Math.max(begin + per_px, Math.floor(begin) + 1)); n++)
      if (peaks[n] > loud) loud = peaks[n];
    const tall = (loud / 255) * (lane.h / 2);
    if (tall > 0.8) g.fillRect(px, middle - tall, 1, tall * 2);
  }
}

function hatch(g, x, y, w, h, colours) {
  g.save();
  g.beginPath();
  g.rect(x, y, w, h);
  g.clip();
  g.fillStyle = colours["bad-soft"];
  g.fillRect(x, y, w, h);
  g.strokeStyle = colours.bad;
  g.globalAlpha = 0.45;
  g.beginPath();
  const first = Math.max(x - h, -h) - ((Math.max(x - h, -h) - x) % 7);
  for (let at = first; at < Math.min(x + w, 6000); at += 7) {
    g.moveTo(at, y + h);
    g.lineTo(at + h, y);
  }
  g.stroke();
  g.restore();
}

function tag(g, text, x, y, colour, paper) {
  g.fillStyle = paper;
  g.fillRect(x - 4, y - 9, g.measureText(text).width + 8, 18);
  g.fillStyle = colour;
  g.fillText(text, x, y);
}

function marks(g, call, lanes, x, from, until, at, colours, hit, far) {
  const M = lanes.marks, rows = [-1e6, -1e6, -1e6, -1e6];
  const floor = lanes.caller.y + lanes.caller.h;
  const first = firstAt(call.marks, from - 4000, (one) => one.at_ms);
  for (let n = first; n < call.marks.length && call.marks[n].at_ms <= until; n++) {
    const mark = call.marks[n], on = n === at.mark, px = x(mark.at_ms);
    const colour = colours[COLOURS[mark.type] || "agent"];
    const text = mark.says + (mark.reason ? ": " + mark.reason : "");
    const wide = g.measureText(text).width;
    const weighs = mark.type === "Cut" || mark.type === "YieldFloor" || on;
    // From afar only what ended the agent's speech is named.
    const row = far && !weighs ? -1 : rows.findIndex((end) => end < px);
    g.fillStyle = colour;
    g.globalAlpha = weighs ? 0.9 : 0.35;
    const y = M.y + 7 + (row < 0 ? 3.8 : row) * 14.5;
    g.fillRect(px - (weighs ? 1 : 0.5), y, weighs ? 2 : 1, floor - y);
    g.globalAlpha = 1;
    g.beginPath();
    g.arc(px, y, on ? 5.5 : 4, 0, 7);
    g.fill();
    if (on) {
      g.strokeStyle = colours.ink;
      g.lineWidth = 1.5;
      g.stroke();
      g.lineWidth = 1;
    }
    if (row >= 0) {
      g.fillText(text, px + 8, y);
      rows[row] = px + wide + 16;
    }
    hit(px - 5, px + (row < 0 ? 5 : wide + 8), { y: y - 7, h: 14 }, null, n);
  }
}

function cursor(g, px, height, colours) {
  g.fillStyle = colours.ink;
  g.fillRect(px - 0.75, 0, 1.5, height);
  g.beginPath();
  g.moveTo(px - 5, 0);
  g.lineTo(px + 5, 0);
  g.lineTo(px, 7);
  g.fill();
}

function labels(g, lanes, narrow, colours) {
  g.fillStyle = colours.soft;
  for (const one of Object.values(lanes)) {
    if (!one.label || (narrow && one.h < 30)) continue;
    if (narrow) {
      g.globalAlpha = 0.85;
      g.fillText(one.label, 2, one.y + 3);
      g.globalAlpha = 1;
    } else g.fillText(one.label, 0, one.y + one.h / 2);
  }
}

function drawMap(g, width, height, call, view, at, colours) {
  const left = width < NARROW ? 0 : GUTTER, scale = (width - left) / call.until;
  const x = (ms) => left + ms * scale;
  g.clearRect(0, 0, width, height);
  g.fillStyle = colours.paper;
  g.fillRect(left, 0, width - left, height);
  const half = height / 2;
  wave(g, call.peaks[0], call, { y: 0, h: half }, x, 0, call.until, scale, left, width, colours.agent);
  wave(g, call.peaks[1], call, { y: half, h: half }, x, 0, call.until, scale, left, width, colours.caller);
  if (!call.peaks.length) {
    g.fillStyle = colours.agent;
    for (const one of call.playouts) g.fillRect(x(one.from), 4, Math.max(0.5, x(one.until) - x(one.from)), half - 8);
    g.fillStyle = colours.caller;
    for (const [a, b] of call.vad) g.fillRect(x(a), half + 4, Math.max(0.5, x(b) - x(a)), half - 8);
  }
  for (const mark of call.marks) {
    if (mark.type !== "Cut" && mark.type !== "YieldFloor") continue;
    g.fillStyle = colours.bad;
    g.fillRect(x(mark.at_ms) - 0.75, 0, 1.5, height);
  }
  g.globalAlpha = 0.14;
  g.fillStyle = colours.ink;
  g.fillRect(x(view.from), 0, view.span * scale, height);
  g.globalAlpha = 1;
  g.strokeStyle = colours.soft;
  g.strokeRect(x(view.from) + 0.5, 0.5, Math.max(3, view.span * scale - 1), height - 1);
  cursor(g, x(at.ms), height, colours);
  if (left) {
    g.font = FONT;
    g.textBaseline = "middle";
    g.fillStyle = colours.soft;
    g.fillText("whole call", 0, height / 2);
  }
}
