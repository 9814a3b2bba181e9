"use strict";
(() => {
  const table = document.querySelector("table.sortable");
  const told = document.getElementById("sorted");
  if (!table || !told) return;
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const key = (row, column) => {
    const text = row.cells[column].dataset.sort ?? row.cells[column].textContent;
    return text !== "" && !Number.isNaN(Number(text)) ? Number(text) : text;
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en");
  const sort = (column) => {
    const head = heads[column];
    const was = head.getAttribute("aria-sort");
    const first = head.classList.contains("number") && column > 0 ? "descending" : "ascending";
    const other = first === "descending" ? "ascending" : "descending";
    const now = was === first ? other : first;
    heads.forEach((each) => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", now);
    const sign = now === "ascending" ? 1 : -1;
    [...body.rows]
      .sort((a, b) => sign * compare(key(a, column), key(b, column)) || key(a, 0) - key(b, 0))
      .forEach((row) => body.append(row));
    told.textContent = `Sorted by ${head.textContent.trim()}, ${now}.`;
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(column));
    head.append(button);
  });
})();
