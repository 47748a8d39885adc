"use strict";
// The bars of credits a day: rows for Vega, its legend and tooltip, and the same as a table.

const SPEC = JSON.parse(document.getElementById("spec").textContent);
const SLOTS = SPEC.encoding.color.scale.domain.length - 1; // the last is for the others

function slotOf(platform) {
  return Math.min(platform, SLOTS);
}

function slotName(report, slot) {
  return slot < SLOTS ? report.platforms[slot] : "other platforms";
}

// credits by day and slot, as BigInt; Map of day -> array of slots.
function spendByDay(report, cells, filter, chosen) {
  const days = new Map();
  for (let i = 0; i < cells.day.length; i++) {
    const day = cells.day[i];
    if (!chosen[cells.series[i]] || day < filter.from || day > filter.to) continue;
    if (cells.credits[i] === 0n) continue;
    const slots = days.get(day) ?? days.set(day, Array(SLOTS + 1).fill(0n)).get(day);
    slots[slotOf(report.series[cells.series[i]][1])] += cells.credits[i];
  }
  return days;
}

function chartRows(report, spend, filter) {
  const { scale } = report.cells;
  // Days without credits at both ends, so that the axis shows the whole period.
  const rows = [filter.from, filter.to].map((day) => (
    { day: millisecondsOf(report, day), slot: 0, credits: 0, tip: "" }));
  for (const [day, slots] of spend) {
    const whole = grouped(decimal(slots.reduce((a, b) => a + b), scale, 2));
    slots.forEach((amount, slot) => {
      if (amount === 0n) return;
      const own = `${slotName(report, slot)}: ${grouped(decimal(amount, scale, 2))}`;
      rows.push({
        day: millisecondsOf(report, day), slot, credits: Number(decimal(amount, scale, scale)),
        tip: `${dateOf(report, day)}\n${own}\nall platforms: ${whole}`,
      });
    });
  }
  return rows;
}

function usedSlots(spend) {
  const used = new Set();
  for (const slots of spend.values())
    slots.forEach((amount, slot) => amount !== 0n && used.add(slot));
  return [...used].sort((a, b) => a - b);
}

function legend(report, used) {
  put("legend", ...used.map((slot) => element("li", { class: "named" },
    swatch(slot), bidi(slotName(report, slot)))));
}

function dailyTable(report, spend, used) {
  const { scale } = report.cells;
  const columns = [["Day", ""], ["All", "number"],
    ...used.map((slot) => [slotName(report, slot), "number"])];
  const shown = (amount) => figure(decimal(amount, scale, scale), grouped(decimal(amount, scale, 2)));
  const rows = [...spend].sort(([a], [b]) => b - a).map(([day, slots]) => [
    dateOf(report, day), shown(slots.reduce((a, b) => a + b)),
    ...used.map((slot) => shown(slots[slot]))]);
  table(document.querySelector("#daily table"), "Credits a day, by platform", columns, rows,
    "No credits in this period.", 31);
}

function tooltip(_handler, event, _item, text) {
  let tip = document.getElementById("tip");
  if (!tip) document.body.append(tip = element("div", { id: "tip", "aria-hidden": "true" }));
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const right = Math.max(0, document.documentElement.clientWidth - tip.offsetWidth - 8);
  tip.style.left = `${Math.min(event.clientX + 12, right)}px`;
  tip.style.top = `${Math.max(0, event.clientY - tip.offsetHeight - 12)}px`;
}

// Made with its first rows: without any, Vega warns of axes that have no extent.
async function newChart(rows) {
  await runLibrary();
  SPEC.data.values = rows;
  const made = await vegaEmbed("#chart", SPEC, {
    mode: "vega-lite", renderer: "svg", actions: false, defaultStyle: false,
    ast: true, // evaluates expressions without eval, which the page's policy forbids
    tooltip,
  });
  return made.view;
}
