"use strict";
// Runs last: shows everything, and again whenever a filter changes.

let chart = null;

async function spendChart(filter, series, total) {
  const spend = spendByDay(report, cells, filter, series);
  const used = usedSlots(spend);
  legend(report, used);
  if (control("daily").open) dailyTable(report, spend, used);
  const none = total.counts.has("credits") ? "No credits were spent here." : "No credits are counted here.";
  put("no-chart", used.length ? "" : none);
  control("no-chart").hidden = used.length > 0;
  const [from, to] = [dateOf(report, filter.from), dateOf(report, filter.to)];
  control("bars").setAttribute("aria-label",
    `Bars of credits a day by platform, ${from} to ${to}; the table below says the same.`);
  const rows = chartRows(report, spend, filter);
  chart ??= newChart(rows);
  await (await chart).data("spend", rows).runAsync();
}

function tellMatching(filter, total) {
  const parts = [filter.source !== null && report.sources[filter.source].name,
    filter.platform !== null && report.platforms[filter.platform],
    filter.bot !== null && report.bots[filter.bot].name].filter(Boolean);
  const period = `${dateOf(report, filter.from)} to ${dateOf(report, filter.to)}`;
  const what = parts.length ? parts.join(", ") : "everything";
  put("matching", bidi(`${period}, ${what}: ${grouped(String(total.conversations))} conversations.`));
  const days = filter.to === report.days - 1 ? report.today - filter.from + 1 : null;
  for (const button of control("quick").children)
    button.setAttribute("aria-pressed", Number(button.dataset.days) === days);
}

function show() {
  const filter = filters();
  const series = chosenSeries(report, filter);
  const total = totals(report, cells, filter, series, () => 0).get(0) ?? nothing();
  series.forEach((is, number) => is && counting(report, number, total.counts));
  tellMatching(filter, total);
  tiles(report, total);
  platformTable(filter, series);
  botTable(filter, series);
  certificateTable(filter);
  newestTable(filter, series);
  return spendChart(filter, series, total);
}

function changed(event) {
  if (event.target.id === "source") offerBots();
  if (["from", "to"].includes(event.target.id)) keepOrder(event.target.id);
  show();
}

function cleared(event) {
  event.preventDefault();
  for (const id of ["source", "platform", "bot"]) control(id).value = "";
  offerBots();
  usualPeriod();
  show();
}

async function start() {
  if (!canUnpack()) {
    put("state", statusOf("bad", "This browser is too old for this page: it can't unpack the data. "
      + "Open it in Firefox from 113, Safari from 16.4, or Chrome or Edge from 80 on."));
    control("filters").hidden = control("figures").hidden = true;
    return;
  }
  report = JSON.parse(await unpacked("data"));
  cells = decoded(report);
  control("filters").addEventListener("change", changed);
  control("filters").addEventListener("submit", (event) => event.preventDefault());
  control("filters").addEventListener("reset", cleared);
  control("daily").addEventListener("toggle", show);
  offer();
  usualPeriod();
  heading();
  await show();
}

start().then(() => document.documentElement.setAttribute("data-ready", "yes"));
