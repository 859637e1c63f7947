// Of a question's alternatives only the chosen one is sent; what is filled in for another is told.
// Without this script the server refuses it by name.
"use strict";
(() => {
  const alternatives = [...document.querySelectorAll(".alternative")];
  const place = document.querySelector("[data-says]");
  let asked = 0;
  let waiting = 0;

  function said(parent) {
    const note = document.createElement("p");
    note.className = "says";
    note.setAttribute("role", "status");
    parent.append(note);
    return note;
  }

  const notes = new Map(alternatives.map((one) => [one, said(one)]));
  const answer = place && said(place);

  function name(field) {
    const label = document.querySelector(`label[for="${field.id}"]`);
    return label.textContent.split(",")[0];
  }

  function isFilled(field) {
    return !["", field.dataset.usual].includes(field.value.trim());
  }

  function choose() {
    for (const [alternative, note] of notes) {
      const chosen = alternative.querySelector(":scope > input").checked;
      const fields = [...alternative.querySelectorAll(".chosen :is(input, select, textarea)")];
      fields.forEach((one) => (one.disabled = !chosen));
      alternative.classList.remove("left-over");
      const left = chosen ? [] : fields.filter(isFilled).map(name);
      note.textContent = left.length ? `Not used: ${left.join(", ")}.` : "";
    }
  }

  // The server says what an answer comes to, before it is sent.
  async function describe() {
    const number = ++asked;
    const fields = new URLSearchParams(new FormData(place.form));
    const given = new URLSearchParams();
    for (const one of ["where", "target_id", "labels"]) given.set(one, fields.get(one) ?? "");
    let found = { is_good: true, says: "" };
    if (given.get("target_id") || given.get("labels")) {
      // Where the server cannot be asked, it says so when the form is sent.
      const answered = await fetch(`${place.dataset.says}?${given}`).catch(() => null);
      if (answered?.ok) found = await answered.json();
    }
    if (number !== asked) return;
    answer.textContent = found.says;
    answer.classList.toggle("bad", !found.is_good);
  }

  function changed() {
    choose();
    if (!place) return;
    clearTimeout(waiting);
    waiting = setTimeout(describe, 250);
  }

  document.querySelector("form.job").addEventListener("input", changed);
  // A browser that goes back fills the form in anew.
  window.addEventListener("pageshow", changed);
})();
