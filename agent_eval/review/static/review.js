// Keys, and what comes in later. The pages are whole without it.
//
// It is run before anything of a page can be seen, so that no key is lost on whoever types at once.
"use strict";
(() => {
  const by = (id) => document.getElementById(id);
  const rows = () => [...document.querySelectorAll(".row")];
  const detailsOf = (row) => row && row.querySelector(":scope > details");
  const current = () => document.activeElement && document.activeElement.closest(".row");

  function go(row, open) {
    if (!row) return;
    if (open && detailsOf(row)) detailsOf(row).open = true;
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  }

  function move(step, wanted = () => true) {
    const all = rows();
    const here = all.indexOf(current() || document.querySelector(".row.here"));
    let at = here < 0 ? (step > 0 ? 0 : all.length - 1) : here + step;
    if (here < 0 && all.length) {
      const seen = all.findIndex((row) => row.getBoundingClientRect().bottom > 60);
      at = Math.max(seen, 0);
    }
    while (all[at] && !wanted(all[at])) at += step;
    go(all[at]);
  }

  const follow = (rel) => document.querySelector(`a[rel="${rel}"]`)?.click();
  const cited = (row) => row.classList.contains("cited");
  const openAll = (open) => rows().forEach((row) => { if (detailsOf(row)) detailsOf(row).open = open; });
  function toggle() {
    const row = current();
    const details = detailsOf(row);
    if (details) details.open = !details.open;
    else row?.querySelector("a.open")?.click();
  }

  const keys = {
    j: () => move(1), k: () => move(-1), f: () => move(1, cited), F: () => move(-1, cited),
    o: toggle, Enter: toggle, n: () => follow("next"), p: () => follow("prev"),
    e: () => current()?.querySelector("a.seq")?.click(),
    "/": () => document.querySelector("input[type=search]")?.focus(),
    a: () => openAll(true), z: () => openAll(false),
    "?": () => by("help")?.showModal(),
  };

  document.addEventListener("keydown", (event) => {
    const at = event.target;
    const writing = at.closest("input:not([type=checkbox]):not([type=radio]), select, textarea, [contenteditable]");
    if (writing || by("help")?.open || event.ctrlKey || event.metaKey || event.altKey) {
      if (event.key === "Escape" && writing) at.blur();
      return;
    }
    if (event.key === "Enter" && !at.matches(".row")) return; // a link or a summary does its own
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-help]")) by("help").showModal();
  });

  function arrive() {
    const target = location.hash.length > 1 && by(location.hash.slice(1));
    if (!target) return;
    for (let at = target.closest("details"); at; at = at.parentElement.closest("details")) at.open = true;
    go(target.closest(".row"), true);
    target.scrollIntoView({ block: "center" });
  }
  addEventListener("hashchange", arrive);

  // A run that goes on: new rows, and what was found in it at once.
  const told = new Set();
  async function tail() {
    const list = document.querySelector("#rows[data-tail]");
    let wait = 1500;
    if (!list) return;
    try {
      const answer = await fetch(`${list.dataset.tail}&after=${list.dataset.last}`);
      const news = await answer.json();
      const below = innerHeight + scrollY >= document.body.scrollHeight - 80;
      for (const id of news.gone) by(id)?.remove();
      if (news.rows.length) {
        for (const row of list.querySelectorAll(".fresh")) row.classList.remove("fresh");
      }
      for (const row of news.rows) put(list, row);
      if (news.last > Number(list.dataset.last)) wait = news.rows.length > 40 ? 50 : 700;
      list.dataset.last = news.last;
      if (below) scrollTo(0, document.body.scrollHeight);
      announce(news.found);
      if (!news.goes_on) {
        by("said").textContent = "The run has ended. Load the page again for all that was found.";
        return;
      }
    } catch (_) {
      wait = 5000;
    }
    setTimeout(tail, wait);
  }
  function put(list, row) {
    const made = new DOMParser().parseFromString(row.html, "text/html").querySelector(".row");
    const before = by(row.id);
    if (before) {
      const details = detailsOf(before);
      if (details && detailsOf(made)) detailsOf(made).open = details.open;
      const focused = before === document.activeElement;
      before.replaceWith(made);
      if (focused) made.focus({ preventScroll: true });
    } else {
      made.classList.add("fresh");
      list.append(made);
    }
  }
  function announce(found) {
    const fresh = found.filter((one) => !told.has(one.key));
    fresh.forEach((one) => told.add(one.key));
    if (!fresh.length) return;
    by("said").replaceChildren(...fresh.map((one) => {
      const line = document.createElement("a");
      line.href = `${location.pathname}?at=${one.seq}#e${one.seq}`;
      line.textContent = `Found: ${one.said} `;
      return line;
    }));
  }

  // What was still being read is looked at again, until somebody is at what there is.
  async function again(wait) {
    const link = document.querySelector('a[rel="again"]');
    if (!link) return;
    await new Promise((done) => setTimeout(done, wait));
    try {
      const answer = await fetch(link.href);
      const made = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (answer.ok && !scrollY && !document.activeElement.closest("main, aside")) renew(made);
    } catch (_) { /* the server has ended; whoever looks again is told */ }
    again(Math.min(2 * wait, 12000));
  }
  function renew(made) {
    const tailed = document.querySelector("#rows[data-tail]");
    for (const part of ["aside", "main"]) {
      const fresh = made.querySelector(part);
      if (fresh) document.querySelector(part)?.replaceChildren(...fresh.childNodes);
    }
    arrive();
    if (!tailed) tail();
  }

  document.addEventListener("DOMContentLoaded", () => {
    arrive();
    tail();
    again(1000);
  });
})();
