// Reads pictures out under them, by pointer and by arrow keys; looks closer where one drags; knows a few
// keys; tells that a page is old.
// The page is complete without it.
"use strict";
for (const picture of document.querySelectorAll("figure svg.bh")) {
  const marks = [...picture.querySelectorAll("[role=img]")];
  const readout = picture.parentElement.querySelector(".readout");
  if (!marks.length || !readout) continue;
  const said = readout.textContent;
  const row = picture.classList.contains("bh-map") ? 24 : 1;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row, ArrowDown: row };
  const say = (event) => {
    const mark = event.target.closest("svg.bh [role=img]");
    const name = mark?.getAttribute("aria-label") ?? mark?.querySelector("title")?.textContent;
    if (name) readout.textContent = name;
  };
  marks.forEach((mark, at) => mark.setAttribute("tabindex", at ? "-1" : "0"));
  picture.addEventListener("mouseover", say);
  // On the figure: Chromium makes an SVG that listens for focus a stop of its own.
  picture.closest("figure").addEventListener("focusin", say);
  picture.addEventListener("mouseleave", () => { readout.textContent = said; });
  picture.addEventListener("keydown", (event) => {
    const at = marks.indexOf(event.target);
    const next = marks[at + steps[event.key]];
    if (at < 0 || !next) return;
    event.preventDefault();
    event.target.setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  });
}

// Dragging across a picture looks closer: the address says what is looked at.
const drag = (picture, [left, width], done) => {
  const share = (event) => {
    const box = picture.getBoundingClientRect();
    const whole = picture.viewBox.baseVal.width;
    const at = ((event.clientX - box.left) / box.width) * whole;
    return Math.min(1, Math.max(0, (at - left) / width));
  };
  let begun = null;
  picture.addEventListener("pointerdown", (event) => { begun = [share(event), event.target]; });
  addEventListener("pointerup", (event) => {
    if (!begun) return;
    const [first, last] = [begun[0], share(event)].sort((a, b) => a - b);
    const target = begun[1];
    begun = null;
    // A click is no drag, and all of it is no closer.
    if (last - first > 0.005 && last - first < 0.98) done(first, last, target);
  });
};
const ask = (parameters) => {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(parameters)) query.set(name, value);
  return query;
};
for (const figure of document.querySelectorAll("figure[data-from-s]")) {
  const [from, until] = [Number(figure.dataset.fromS), Number(figure.dataset.untilS)];
  drag(figure.querySelector("svg"), [60, 884], (first, last) => {
    const [a, b] = [first, last].map((share) => from + share * (until - from));
    if (b - a < 3600) return; // Less than an hour shows nothing.
    const text = (seconds) => new Date(Math.round(seconds) * 1000).toISOString().replace(".000", "");
    location.search = ask({ from: text(a), until: text(b) });
  });
}
const clock = (minute) => [minute / 60, minute % 60]
  .map((part) => String(Math.floor(part)).padStart(2, "0")).join(":");
// Whole quarter-hours, at least an hour of them, as an address says them.
const hours = (a, b) => {
  const from = Math.min(Math.floor(a / 15) * 15, 1380);
  return `${clock(from)}-${clock(Math.min(Math.max(Math.ceil(b / 15) * 15, from + 60), 1440))}`;
};
for (const figure of document.querySelectorAll("figure[data-from-minute]")) {
  const [from, until] = [Number(figure.dataset.fromMinute), Number(figure.dataset.untilMinute)];
  drag(figure.querySelector("svg"), [52, 700], (first, last) => {
    const [a, b] = [first, last].map((share) => from + share * (until - from));
    const query = ask({ hours: hours(a, b) });
    location.assign(`${location.pathname}?${query}#day`);
  });
}
for (const figure of document.querySelectorAll("figure[data-home]")) {
  const [dates, rows] = [figure.dataset.dates.split(" "), [...figure.querySelectorAll("g.row")]];
  drag(figure.querySelector("svg"), [102, 480], (first, last, target) => {
    const date = dates.slice(-rows.length)[rows.indexOf(target.closest("g.row"))];
    if (!date) return;
    const query = new URLSearchParams({ date, hours: hours(first * 1440, last * 1440) });
    location.assign(`${figure.dataset.home}?${query}#day`);
  });
}

// Keys that save steps; they are told at the foot of each page.
const places = {
  o: "/", i: "/incidents", m: "/matrix", f: "/fleet", r: "/reports", t: "/tasks", a: "/account",
};
const step = (by) => {
  const rows = [...document.querySelectorAll("main tbody th a[href], main .incidents p:first-child > a")]
    .filter((one) => one.checkVisibility());
  const at = rows.indexOf(document.activeElement);
  rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : at + by]?.focus();
};
let waits = false;
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest?.("input,select,textarea")) return;
  const goes = waits && places[event.key];
  waits = event.key === "g";
  const follow = (rel) => document.querySelector(`main a[rel=${rel}]`)?.click();
  const does = {
    "?": () => {
      const keys = document.getElementById("keys");
      keys.open = true;
      keys.querySelector("summary").focus();
    },
    "/": () => document.querySelector("[role=search] input, [role=search] select")?.focus(),
    j: () => step(1),
    k: () => step(-1),
    n: () => follow("next"),
    p: () => follow("prev"),
  }[event.key];
  if (!goes && !does) return;
  event.preventDefault();
  if (goes) location.assign(goes);
  else does();
});

// A page that is old says so at its edge, and nothing moves under who reads.
const { live } = document.getElementById("main").dataset;
if (live !== undefined) {
  const note = document.querySelector(".news");
  const tell = (event) => {
    const said = event.data ? JSON.parse(event.data) : {};
    if (live && said.building_ids?.length && !said.building_ids.includes(live)) return;
    note.hidden = false;
  };
  // A browser has few connections to one place: a page that nobody looks at holds none.
  let news = null;
  const listen = () => {
    const wanted = !document.hidden && note.hidden;
    if (!wanted && news) {
      news.close();
      news = null;
    } else if (wanted && !news) {
      news = new EventSource("/api/v1/events");
      for (const kind of ["incident", "verdicts", "reset"]) news.addEventListener(kind, tell);
      // Refused for good: nobody will say that the page is old.
      news.addEventListener("error", () => {
        if (news?.readyState === EventSource.CLOSED) note.hidden = false;
      });
    }
  };
  let left = Date.now();
  document.addEventListener("visibilitychange", () => {
    // What changed in a long while was heard by nobody.
    if (document.hidden) left = Date.now();
    else if (Date.now() - left > 300_000) note.hidden = false;
    listen();
  });
  listen();
}
