// Shows a job's progress as the server tells it; without this script the page has a link to reload.
"use strict";
(() => {
  const address = document.querySelector("[data-live]").dataset.live;
  const source = new EventSource(address);

  function replace(id, html) {
    const part = document.getElementById(id);
    const hadFocus = part.contains(document.activeElement);
    part.innerHTML = html;
    if (hadFocus) part.focus();
  }

  source.addEventListener("parts", (event) => {
    for (const [id, html] of Object.entries(JSON.parse(event.data))) {
      if (document.getElementById(id).innerHTML !== html) replace(id, html);
    }
  });
  source.addEventListener("end", () => source.close());
})();
