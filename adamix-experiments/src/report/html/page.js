// Tables are sorted by a click on a heading: by data-sort, the number that a cell stands for; cells without one go last,
// in the order of their words.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if (!head.textContent) return;
    const button = document.createElement("button");
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const number = (row) => Number(row.cells[column].dataset.sort ?? NaN);
      const words = (row) => row.cells[column].textContent;
      const compare = (a, b) => {
        const [p, q] = [number(a), number(b)];
        if (Number.isNaN(p) !== Number.isNaN(q)) return Number.isNaN(p) ? 1 : -1;
        // Words with numbers in them, such as `seed 10`, in the order of these.
        const order = Number.isNaN(p) ? words(a).localeCompare(words(b), "en", { numeric: true }) : p - q;
        return down ? -order : order;
      };
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort(compare));
    });
  });
}
