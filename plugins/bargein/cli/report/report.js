"use strict";
// The whole page: tables above, calls below, and what they share.

const data = JSON.parse(document.getElementById("data").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const shared = {
  colours: {},
  longest: Math.max(1000, ...data.calls.map((call) => call.until)),
  waiting: new Set(),
  inUse: null,
  draw(panel) {  // once a frame is enough
    if (!this.waiting.size) requestAnimationFrame(() => this.flush());
    this.waiting.add(panel);
  },
  flush() {
    const panels = [...this.waiting];
    this.waiting.clear();
    for (const panel of panels) panel.draw();
  },
  use(panel) {
    if (this.inUse === panel) return;
    this.inUse = panel;
    for (const one of panels) one.root.classList.toggle("on", one === panel && panels.length > 1);
  },
  hush(but) {
    for (const one of panels) if (one !== but && one.playing) one.pause();
  },
  zoom(by) {
    for (const one of panels) one.zoom(one.view.span * by);
  },
};

document.getElementById("title").textContent = data.title;
const into = document.getElementById("calls");
const panels = data.calls.map((call, place) => new Panel(call, place, into, shared));

problems();
lead();
tables();
theme();
beginning();

function problems() {
  const box = document.getElementById("problems");
  const all = data.calls.flatMap((call) => call.problems.map((one) => `${call.file}: ${one}`));
  if (!all.length) return;
  box.hidden = false;
  make("h2", box, { textContent: "Not all of it could be read" });
  const list = make("ul", box);
  for (const one of all.slice(0, 40)) make("li", list, { textContent: one });
  if (all.length > 40) make("li", list, { textContent: `and ${all.length - 40} more` });
}

// The row with most to tell: where one was stopped and another was not.
function telling() {
  const over = data.moments.filter((row) => row.cells.some((cell) => cell && cell.over_agent));
  return over.find((one) => one.cells.some((cell) => cell && cell.flag === "bad"))
    || over.find((one) => one.cells.some((cell) => cell && cell.stopped)) || over[0];
}

// The whole story in one look: why one was cut, and the other was not.
function lead() {
  const row = telling();
  const has = (flag) => row && row.cells.some((cell) => cell && cell.flag === flag);
  if (!has("bad") || !has("good")) return;
  const box = document.getElementById("lead");
  box.hidden = false;
  const says = row.says ? `The caller says ${quoted(row.says)} while the agent speaks`
    : "A sound without words, while the agent speaks";
  make("h2", box, { textContent: says });
  const list = make("div", box, { className: "ends" });
  row.cells.forEach((cell, n) => {
    if (!cell || !cell.flag) return;
    const call = data.calls[n], bad = cell.flag === "bad";
    const button = make("button", list, { className: `end ${cell.flag}` });
    make("small", button, { textContent: call.title });
    make("b", button, { textContent: `${bad ? "✗" : "✓"} ${cell.did}` });
    const more = [
      cell.unsaid ? `${cell.unsaid} words never heard` : "",
      cell.why ? `why: ${cell.why}${cell.kind ? ` (${cell.kind})` : ""}`
        : cell.stopped ? "why: the host stopped it, and gives no reason" : "",
    ].filter(Boolean);
    const told = make("span", button, { textContent: more.join(" · ") });
    if (cell.then) {
      if (more.length) told.append(" · ");
      make("span", told, { className: cell.then_flag, textContent: cell.then });
    }
    tipped(button, `${at_lines(cell.lines)} of ${call.file}\nclick to see and hear it`);
    button.addEventListener("click", () => hear(row, n));
  });
}

function quoted(says) {
  if (!says) return "a sound without words";
  return kept(says) === says ? `“${says}”` : kept(says);
}

function hear(row, n) {
  align(row);
  panels[n].play(row.cells[n].onset_ms - 1000, row.cells[n].onset_ms + 3500);
}

function tables() {
  const sums = document.getElementById("sums");
  head(make("table", make("div", sums, { className: "card", id: "figures" })), "Figures", (body) => {
    for (const row of data.figures) {
      const line = make("tr", body);
      make("th", line, { textContent: row.name, scope: "row" });
      row.cells.forEach((cell, n) => {
        const box = make("td", line);
        if (!cell) return void make("span", box, { className: "aside", textContent: "–" });
        const from = cell.lines.length ? `${at_lines(cell.lines)} of ${data.calls[n].file}` : "no line speaks of any";
        tipped(make("span", box, { className: "figure", textContent: cell.says, tabIndex: 0 }), from);
      });
    }
  });
  if (!data.moments.length) return;
  const card = make("div", sums, { className: "card", id: "moments" });
  head(make("table", card), "The caller says", (body) => {
    for (const row of data.moments) {
      const line = make("tr", body), name = make("th", line, { scope: "row" });
      make("button", name, { className: "row", textContent: quoted(row.says) })
        .addEventListener("click", () => align(row));
      row.cells.forEach((cell, n) => {
        const box = make("td", line);
        box.dataset.call = data.calls[n].title;
        if (!cell) return void make("span", box, { className: "aside", textContent: "nothing was noticed" });
        const button = make("button", box, { className: `cell ${cell.flag}` });
        make("b", button, { textContent: cell.did });
        for (const [part, flag] of [
          [cell.unsaid ? `${cell.unsaid} words unsaid` : "", ""],
          [cell.over_agent ? cell.why : "", ""],
          [cell.then, cell.then_flag],
        ]) if (part) make("small", button, { className: flag, textContent: ` · ${part}` });
        tipped(button, `${at_lines(cell.lines)} of ${data.calls[n].file}\nclick to see and hear it`);
        button.addEventListener("click", () => hear(row, n));
      });
    }
  });
}

function head(table, first, fill) {
  const line = make("tr", make("thead", table));
  for (const name of [first, ...data.calls.map((call) => call.title)])
    make("th", line, { textContent: name, scope: "col" });
  fill(make("tbody", table));
}

function tipped(one, text) {
  one.setAttribute("aria-description", text);
  one.addEventListener("pointerenter", (event) => tip(text, event.clientX, event.clientY));
  one.addEventListener("pointerleave", () => tip(null));
  one.addEventListener("focus", () => {
    const box = one.getBoundingClientRect();
    if (one.matches(":focus-visible")) tip(text, box.left, box.bottom - 12);
  });
  one.addEventListener("blur", () => tip(null));
}

// The same moment in every call, below each other.
function align(row) {
  row.cells.forEach((cell, n) => {
    if (!cell) return;
    const panel = panels[n];
    const next = firstAt(panel.call.marks, cell.onset_ms, (mark) => mark.at_ms);
    const mark = panel.call.marks[next];
    panel.at = { ms: cell.onset_ms, mark: -1 };
    panel.show(cell.onset_ms, 0.22);
    if (mark && mark.at_ms - cell.onset_ms < 3000) {
      panel.select(next, false);
      panel.at.ms = cell.onset_ms;
    }
  });
}

function theme() {
  const button = document.getElementById("theme"), root = document.documentElement;
  const isDark = () => (root.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
  const shown = () => {
    button.textContent = isDark() ? "☀ Light" : "☾ Dark";
    shared.colours = palette();
    panels.forEach((panel) => shared.draw(panel));
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    shown();
  });
  dark.addEventListener("change", shown);
  new ResizeObserver(() => panels.forEach((panel) => shared.draw(panel))).observe(into);
  shown();
}

// It opens where there is most to see.
function beginning() {
  const span = innerWidth < 640 ? 6000 : 15000;
  for (const panel of panels) panel.view.span = Math.min(span, shared.longest);
  const row = telling();
  if (row) align(row);
  document.getElementById("closer").addEventListener("click", () => shared.zoom(0.5));
  document.getElementById("farther").addEventListener("click", () => shared.zoom(2));
  document.getElementById("whole").addEventListener("click", () => {
    for (const panel of panels) {
      panel.view.span = shared.longest;
      panel.show(0, 0);
    }
  });
  requestAnimationFrame(() => requestAnimationFrame(() => {
    document.documentElement.dataset.readyMs = Math.round(performance.now());
  }));
}
