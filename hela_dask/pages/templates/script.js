for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => head.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = row => row.cells[column].dataset.v ?? row.cells[column].textContent;
    const rows = [...body.rows].sort((a, b) => {
      const x = key(a), y = key(b);
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return up ? order : -order;
    });
    body.append(...rows);
  }));
}
for (const frame of document.querySelectorAll(".scroll")) {
  const hint = document.createElement("p");
  hint.className = "hint";
  hint.textContent = "More columns: scroll to the right \u2192";
  frame.before(hint);
  const look = () => {
    const rest = frame.scrollWidth - frame.clientWidth;
    frame.classList.toggle("left", frame.scrollLeft > 1);
    frame.classList.toggle("right", rest - frame.scrollLeft > 1);
    hint.classList.toggle("shown", rest > 1);
  };
  frame.addEventListener("scroll", look);
  window.addEventListener("resize", look);
  new ResizeObserver(look).observe(frame);
}
for (const image of document.querySelectorAll("figure img")) {
  image.addEventListener("click", () => image.parentElement.classList.toggle("large"));
}
