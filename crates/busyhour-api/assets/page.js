// Reads pictures out under them, by pointer and by arrow keys, and keeps the overview fresh.
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
    const mark = event.target.closest("[role=img]");
    const name = mark?.getAttribute("aria-label") ?? mark?.querySelector("title")?.textContent;
    if (name) readout.textContent = name;
  };
  marks.forEach((mark, at) => mark.setAttribute("tabindex", at ? "-1" : "0"));
  picture.addEventListener("mouseover", say);
  picture.addEventListener("focusin", say);
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

// Dragging across a smoke graph looks closer: the address says from when until when.
for (const figure of document.querySelectorAll("figure[data-from-s]")) {
  const picture = figure.querySelector("svg");
  const [from, until] = [Number(figure.dataset.fromS), Number(figure.dataset.untilS)];
  const [left, width, whole] = [60, 884, 960];
  const moment = (event) => {
    const box = picture.getBoundingClientRect();
    const share = (((event.clientX - box.left) / box.width) * whole - left) / width;
    return from + Math.min(1, Math.max(0, share)) * (until - from);
  };
  let begun = null;
  picture.addEventListener("pointerdown", (event) => { begun = moment(event); });
  addEventListener("pointerup", (event) => {
    if (begun === null) return;
    const [first, last] = [begun, moment(event)].sort((a, b) => a - b);
    begun = null;
    // A click is no drag, and less than an hour shows nothing.
    if (last - first < 3600 || last - first > (until - from) * 0.98) return;
    const query = new URLSearchParams(location.search);
    const text = (seconds) => new Date(Math.round(seconds) * 1000).toISOString().replace(".000", "");
    query.set("from", text(first));
    query.set("until", text(last));
    location.search = query;
  });
}

const main = document.getElementById("main");
const refresh = async () => {
  // Nobody loses a selection, a focus or a page that can be read.
  if (document.hidden || main.contains(document.activeElement) || String(getSelection())) return;
  const answer = await fetch(location.href).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of ["main", "footer"]) {
    document.querySelector(part).replaceChildren(...page.querySelector(part).childNodes);
  }
};
if (main.dataset.refreshS) setInterval(refresh, main.dataset.refreshS * 1000);
