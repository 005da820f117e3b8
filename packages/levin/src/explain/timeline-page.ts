import type { TimelineEvent } from "../callbacks/hook-timeline.js";

/** A page that shows what a run did, when: bars over time, and a table of sums. It needs nothing else. */
export function timelinePage(events: readonly TimelineEvent[], leftOut: number): string {
  const names = [...new Set(events.map((event) => event.name))];
  const numbers = new Map(names.map((name, i) => [name, i]));
  const rows = events.map(({ name, start, duration, depth }) => [
    numbers.get(name)!,
    Math.round(start),
    Math.round(duration * 10) / 10,
    depth,
  ]);
  // nothing in the data may end the script
  const data = JSON.stringify({ names, rows, leftOut }).replaceAll("<", "\\u003c");
  return page.replace("__DATA__", () => data);
}

const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Hooks of a run</title>
<style>
  body { font: 13px system-ui, sans-serif; margin: 16px; color: #222; }
  canvas { width: 100%; height: 260px; border: 1px solid #ccc; cursor: grab; }
  #about { height: 1.5em; font-family: ui-monospace, monospace; }
  table { border-collapse: collapse; margin-top: 12px; }
  th, td { padding: 2px 12px 2px 0; text-align: right; font-variant-numeric: tabular-nums; }
  th:first-child, td:first-child { text-align: left; font-family: ui-monospace, monospace; }
  th { border-bottom: 1px solid #999; }
</style>
<h1>Hooks of a run</h1>
<p>Turn the wheel to zoom, drag to move, double-click to see everything.</p>
<canvas id="bars"></canvas>
<div id="about"></div>
<table id="sums"></table>
<script>
const { names, rows, leftOut } = __DATA__;
const canvas = document.getElementById("bars");
const about = document.getElementById("about");
const context = canvas.getContext("2d");
const height = 20;
const end = rows.reduce((most, [, start, duration]) => Math.max(most, start + duration), 1);
const first = rows.reduce((least, [, start]) => Math.min(least, start), end);
let from = first;
let to = end;
const colours = { Callback: "#4c78a8", LightningModule: "#f58518", LightningDataModule: "#b279a2", Strategy: "#54a24b" };
const colourOf = (name) => colours[/^\\[(\\w+)\\]/.exec(name)?.[1]] ?? "#9d9d9d";
const time = (us) => us >= 1e6 ? (us / 1e6).toFixed(3) + " s" : us >= 1e3 ? (us / 1e3).toFixed(3) + " ms" : us.toFixed(1) + " us";

function draw() {
  const scale = devicePixelRatio;
  canvas.width = canvas.clientWidth * scale;
  canvas.height = canvas.clientHeight * scale;
  context.scale(scale, scale);
  context.font = "11px system-ui, sans-serif";
  const perPixel = (to - from) / canvas.clientWidth;
  for (const [name, start, duration, depth] of rows) {
    if (start + duration < from || start > to) continue;
    const x = (start - from) / perPixel;
    const width = Math.max(duration / perPixel, 0.5);
    context.fillStyle = colourOf(names[name]);
    context.fillRect(x, depth * height, width, height - 2);
    if (width < 40) continue;
    context.save();
    context.beginPath();
    context.rect(x, depth * height, width - 3, height);
    context.clip();
    context.fillStyle = "#fff";
    context.fillText(names[name], Math.max(x, 0) + 3, depth * height + 13);
    context.restore();
  }
}

const timeAt = (event) => from + (event.offsetX / canvas.clientWidth) * (to - from);
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const at = timeAt(event);
  const factor = event.deltaY > 0 ? 1.25 : 0.8;
  from = Math.max(first, at - (at - from) * factor);
  to = Math.min(end, at + (to - at) * factor);
  draw();
}, { passive: false });
canvas.addEventListener("mousemove", (event) => {
  if (event.buttons === 1) {
    const moved = Math.max(first - from, Math.min(end - to, (-event.movementX / canvas.clientWidth) * (to - from)));
    from += moved;
    to += moved;
    draw();
    return;
  }
  const at = timeAt(event);
  const slack = (to - from) / canvas.clientWidth;
  const depth = Math.floor(event.offsetY / height);
  const found = rows.find((row) => row[3] === depth && row[1] - slack <= at && at <= row[1] + row[2] + slack);
  about.textContent = found ? names[found[0]] + "  " + time(found[2]) + "  at " + time(found[1] - first) : "";
});
canvas.addEventListener("dblclick", () => { from = first; to = end; draw(); });
addEventListener("resize", draw);

const sums = names.map((name) => ({ name, calls: 0, total: 0, most: 0 }));
for (const [name, , duration] of rows) {
  sums[name].calls++;
  sums[name].total += duration;
  sums[name].most = Math.max(sums[name].most, duration);
}
const cell = (kind, text) => { const made = document.createElement(kind); made.textContent = text; return made; };
const table = document.getElementById("sums");
const addRow = (kind, cells) => { const row = table.insertRow(); row.append(...cells.map((text) => cell(kind, text))); };
addRow("th", ["Action", "Calls", "Total", "Mean", "Longest"]);
for (const { name, calls, total, most } of sums.sort((a, b) => b.total - a.total)) {
  addRow("td", [name, calls, time(total), time(total / calls), time(most)]);
}
if (leftOut > 0) document.body.append(leftOut + " later actions were left out.");
draw();
</script>
</html>
`;
