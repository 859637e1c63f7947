"use strict";
// Heads of the columns become buttons that sort; without JavaScript the table stays fastest first.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const order = new Intl.Collator("en", { numeric: true }).compare;
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const rows = [...table.tBodies[0].rows];
      const numeric = head.classList.contains("number");
      rows.sort((a, b) => (numeric ? Number(value(a)) - Number(value(b)) : order(value(a), value(b))));
      table.tBodies[0].append(...(down ? rows.reverse() : rows));
    });
  });
}
