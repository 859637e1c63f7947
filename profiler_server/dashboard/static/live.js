// Keeps a page as the server tells it; without this script the page has a link to reload.
"use strict";
(() => {
  const live = document.querySelector("[data-live]");
  const rows = document.querySelector("[data-live-rows]");
  const state = document.querySelector("[data-live-state]");
  const reload = document.querySelector("[data-live-reload]");
  let source = null;
  let over = false;

  function say(text) {
    if (!state) return;
    state.hidden = false;
    state.textContent = text;
    if (reload) reload.hidden = text === "live";
  }

  // What is unfolded stays so, and a link that has the focus keeps it, when their part is made anew.
  function replace(part, html) {
    if (part.innerHTML === html) return;
    const unfolded = [...part.querySelectorAll("details")].map((one) => one.open);
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    const explained = part.querySelector("[popover]:popover-open")?.id;
    part.innerHTML = html;
    part.querySelectorAll("details").forEach((one, at) => {
      if (unfolded[at]) one.open = true;
    });
    if (explained) document.getElementById(explained)?.showPopover();
    if (!focused) return;
    const leadsTo = (one) => one.href || one.getAttribute("popovertarget");
    const same = [...part.querySelectorAll("a, button.word")].find((one) => leadsTo(one) === leadsTo(focused));
    (same || part).focus();
  }

  function row(id) {
    const found = document.getElementById(id);
    if (found) return found;
    const made = document.createElement("tr");
    made.id = id;
    return made;
  }

  function show({ elements = {}, rows: changed = {}, order }) {
    for (const [id, html] of Object.entries(elements)) {
      const part = document.getElementById(id);
      if (part) replace(part, html);
    }
    if (!rows) return;
    if (order) {
      const wanted = order.map(row);
      const there = [...rows.children];
      if (wanted.length !== there.length || wanted.some((one, at) => one !== there[at])) rows.replaceChildren(...wanted);
    }
    for (const [id, html] of Object.entries(changed)) {
      const part = document.getElementById(id);
      if (part) replace(part, html);
    }
  }

  function open() {
    if (source || over) return;
    source = new EventSource(live.dataset.live);
    source.addEventListener("open", () => say("live"));
    source.addEventListener("error", () => say("not live"));
    source.addEventListener("parts", (event) => show(JSON.parse(event.data)));
    source.addEventListener("end", () => {
      over = true;
      close();
    });
  }

  function close() {
    if (source) source.close();
    source = null;
  }

  // A browser has few connections to a server: pages that nobody sees need none.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  if (!document.hidden) open();
})();
