// ---- hands -------------------------------------------------------------------------------------
const down = new Map();
canvas.onpointerdown = (event) => {
  canvas.setPointerCapture(event.pointerId);
  down.set(event.pointerId, [event.clientX, event.clientY]);
  tip.style.display = "none";
};
canvas.onpointerup = canvas.onpointercancel = (event) => down.delete(event.pointerId);
canvas.onpointerleave = () => { tip.style.display = "none"; heat(null); };
canvas.onpointermove = (event) => {
  const before = down.get(event.pointerId), now = [event.clientX, event.clientY];
  if (!before) { hover(event); return; }
  const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
  if (down.size === 2) {
    const [other] = [...down].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    const apart = (at) => Math.hypot(at[0] - other[0], at[1] - other[1]) || 1;
    zoom *= apart(now) / apart(before);
  }
  if (down.size === 2 || event.shiftKey || event.buttons === 2)
    moved = [moved[0] + 2 * dx / view.clientWidth, moved[1] - 2 * dy / view.clientHeight];
  else turn = times(times(about(1, dx / 180), about(0, dy / 180)), turn);
  down.set(event.pointerId, now);
  redraw();
};
canvas.oncontextmenu = (event) => event.preventDefault();
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom = Math.min(200, Math.max(0.2, zoom * Math.exp(-event.deltaY / 600)));
  redraw();
}, { passive: false });

function hover(event) {
  const box = canvas.getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  const cell = pick(x, y);
  heat(cell);
  tip.style.display = cell ? "block" : "none";
  if (cell) tip.textContent = describe(cell);
  tip.style.left = `${Math.min(x + 14, view.clientWidth - 190)}px`;
  tip.style.top = `${Math.min(y + 14, view.clientHeight - 100)}px`;
}

// ---- the list of cells and the switches ----------------------------------------------------------
for (const cell of cells) {
  const row = document.createElement("div"), label = row.appendChild(document.createElement("label"));
  const box = label.appendChild(document.createElement("input"));
  box.type = "checkbox";
  box.checked = true;
  box.onchange = () => { cell.shown = box.checked; redraw(); };
  const patch = label.appendChild(document.createElement("i"));
  patch.style.background = `rgb(${cell.bright.map((v) => Math.round(255 * v))})`;
  label.append(`cell ${cell.label}`);
  if (cell.cut) {
    const badge = label.appendChild(document.createElement("span"));
    badge.className = "cut";
    badge.textContent = "cut";
  }
  const small = label.appendChild(document.createElement("small"));
  small.textContent = typeof cell.volume === "number" ? `${cell.volume.toFixed(0)} µm³` : "";
  row.title = describe(cell);
  row.onmouseenter = () => heat(cell);
  row.onmouseleave = () => heat(null);
  Object.assign(cell, { row, box });
  find("list").append(row);
}

const show = (test) => () => {
  for (const cell of cells) cell.box.checked = cell.shown = test(cell);
  redraw();
};
find("all").onclick = show(() => true);
find("none").onclick = show(() => false);
find("complete").onclick = show((cell) => !cell.cut);
for (const id of ["membranes", "nuclei", "slice", "numbers", "opacity"]) find(id).oninput = redraw;
const look = (to) => () => { turn = to; zoom = 1; moved = [0, 0]; redraw(); };
find("top").onclick = look(FACE);
find("side").onclick = look(times(about(0, Math.PI / 2), FACE));
find("reset").onclick = look(START);
find("save").onclick = () => {
  draw();
  const both = document.createElement("canvas");
  both.width = canvas.width;
  both.height = canvas.height;
  for (const part of [canvas, labels]) both.getContext("2d").drawImage(part, 0, 0);
  const link = document.createElement("a");
  link.download = "scene.png";
  link.href = both.toDataURL("image/png");
  link.click();
};
// An address may end with #view=side&cells=3,8&numbers=off (view: top, side or none of both).
const asked = new URLSearchParams(location.hash.slice(1));
if (["top", "side"].includes(asked.get("view"))) find(asked.get("view")).onclick();
if (asked.get("numbers") === "off") find("numbers").checked = false;
if (asked.get("cells")) {
  const wanted = asked.get("cells").split(",").map(Number);
  show((cell) => wanted.includes(cell.label))();
}
window.onresize = redraw;
draw();
