const {names, states, rows} = JSON.parse(document.getElementById("rows").textContent);
const field = document.getElementById("search"), table = document.getElementById("found");
const said = document.getElementById("said"), most = 12;
function show() {
  const wanted = field.value.trim().toLowerCase();
  const found = rows.filter(row => row[0].startsWith(wanted) || row[1].toLowerCase().includes(wanted));
  said.textContent = `${found.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} documents` +
    (found.length > most ? `; the first ${most} are shown` : "");
  table.replaceChildren(...found.slice(0, most).map(row => {
    const line = document.createElement("tr");
    const used = row.slice(3).map((count, at) => count ? `${names[at]} ${count}` : "").filter(text => text).join(", ");
    const [source, became, why] = states[row[2]];
    for (const text of [row[0], source, row[1], became, why, used]) {
      const cell = document.createElement("td");
      cell.textContent = text;
      line.append(cell);
    }
    return line;
  }));
}
field.addEventListener("input", show);
show();

const drawing = document.getElementById("lineage"), whole = drawing.viewBox.baseVal;
const full = {x: whole.x, y: whole.y, width: whole.width, height: whole.height};
function look(x, y, width) {
  width = Math.min(full.width, Math.max(full.width / 20, width));
  const height = width * full.height / full.width, inside = (at, size, all) => Math.min(Math.max(at, 0), all - size);
  drawing.setAttribute("viewBox", [inside(x, width, full.width), inside(y, height, full.height), width, height].join(" "));
}
function zoom(factor, across = .5, down = .5) {
  const now = drawing.viewBox.baseVal, width = Math.min(full.width, now.width * factor), change = 1 - width / now.width;
  look(now.x + now.width * change * across, now.y + now.height * change * down, width);
}
document.getElementById("nearer").addEventListener("click", () => zoom(.7));
document.getElementById("farther").addEventListener("click", () => zoom(1 / .7));
document.getElementById("whole").addEventListener("click", () => look(full.x, full.y, full.width));
drawing.addEventListener("wheel", event => {
  event.preventDefault();
  const box = drawing.getBoundingClientRect();
  zoom(event.deltaY < 0 ? .8 : 1.25, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
}, {passive: false});
let from = null, moved = false;
drawing.addEventListener("pointerdown", event => { from = event; moved = false; });
drawing.addEventListener("pointermove", event => {
  if (!from || !event.buttons) { from = null; return; }
  const now = drawing.viewBox.baseVal, scale = now.width / drawing.getBoundingClientRect().width;
  const across = (from.clientX - event.clientX) * scale, down = (from.clientY - event.clientY) * scale;
  if (!moved && Math.abs(across) + Math.abs(down) < 4 * scale) return;
  moved = true; from = event;
  look(now.x + across, now.y + down, now.width);
});
drawing.addEventListener("click", event => { if (moved) event.preventDefault(); }, true);
addEventListener("beforeprint", () => look(full.x, full.y, full.width));
