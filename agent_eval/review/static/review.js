// Keys, and rows of a run that goes on. The pages are whole without it.
"use strict";
(() => {
  const help = document.getElementById("help");
  const said = document.getElementById("said");
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
    "?": () => help.showModal(),
  };

  document.addEventListener("keydown", (event) => {
    const at = event.target;
    const writing = at.closest("input:not([type=checkbox]):not([type=radio]), select, textarea, [contenteditable]");
    if (writing || help.open || event.ctrlKey || event.metaKey || event.altKey) {
      if (event.key === "Escape" && writing) at.blur();
      return;
    }
    if (event.key === "Enter" && !at.matches(".row")) return; // a link or a summary does its own
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  for (const button of document.querySelectorAll("[data-help]")) {
    button.addEventListener("click", () => help.showModal());
  }

  function arrive() {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (!target) return;
    const details = target.closest("details");
    if (details) details.open = true;
    go(target.closest(".row"), true);
    target.scrollIntoView({ block: "center" });
  }
  addEventListener("hashchange", arrive);
  arrive();
})();
