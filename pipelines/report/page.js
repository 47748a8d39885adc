"use strict";
// Reads the filters, and shows what they let through.

const DAY = 86400000;
let report = null; // what the page was given, once it is unpacked
let cells = null;
const control = (id) => document.getElementById(id);

function millisecondsOf(of, day) {
  return Date.parse(of.first) + day * DAY;
}

function dateOf(of, day) {
  return new Date(millisecondsOf(of, day)).toISOString().slice(0, 10);
}

function dayOf(text, otherwise) {
  const day = (Date.parse(text) - Date.parse(report.first)) / DAY;
  return Number.isNaN(day) ? otherwise : Math.min(Math.max(day, 0), report.days - 1);
}

function chosen(id) {
  return control(id).value === "" ? null : Number(control(id).value);
}

function filters() {
  return {
    source: chosen("source"), platform: chosen("platform"), bot: chosen("bot"),
    from: dayOf(control("from").value, 0), to: dayOf(control("to").value, report.days - 1),
  };
}

function option(value, text) {
  return element("option", { value }, text);
}

// The bots of the chosen source; one that is not among them is let go.
function offerBots() {
  const [source, before] = [chosen("source"), control("bot").value];
  const groups = report.sources.map((of, s) => {
    const bots = report.bots.map((bot, i) => [bot, i]).filter(([bot]) => bot.source === s);
    if (!bots.length || (source !== null && source !== s)) return null;
    return element("optgroup", { label: of.name }, ...bots.map(([bot, i]) => option(i, bot.name)));
  });
  put("bot", option("", "All"), ...groups.filter(Boolean));
  control("bot").value = before;
  if (control("bot").selectedIndex < 0) control("bot").value = "";
}

function offer() {
  put("source", option("", "All"), ...report.sources.map((of, i) => option(i, of.name)));
  const byName = report.platforms.map((name, i) => [name, i]).sort(([a], [b]) => (a < b ? -1 : 1));
  put("platform", option("", "All"), ...byName.map(([name, i]) => option(i, name)));
  offerBots();
  for (const id of ["from", "to"]) {
    control(id).min = report.first;
    control(id).max = dateOf(report, report.days - 1);
  }
  const spans = [7, 30, 90, 365].filter((days) => days <= report.today + 1);
  put("quick", ...spans.map((days) => quickButton(days)));
}

function quickButton(days) {
  const button = element("button", { type: "button", "data-days": days }, `${days} days`);
  button.addEventListener("click", () => {
    setPeriod(report.today - days + 1, report.days - 1);
    show();
  });
  return button;
}

function setPeriod(from, to) {
  control("from").value = dateOf(report, Math.max(from, 0));
  control("to").value = dateOf(report, to);
}

function usualPeriod() {
  setPeriod(report.today - 89, report.days - 1);
}

// An end before the beginning moves the other end along.
function keepOrder(changed) {
  const { from, to } = filters();
  if (from > to) setPeriod(...(changed === "from" ? [from, from] : [to, to]));
}

function platformTable(filter, series) {
  const groups = totals(report, cells, filter, series, (i) => {
    const [bot, platform] = report.series[cells.series[i]];
    return report.bots[bot].source * report.platforms.length + platform;
  });
  const all = [...groups.values()];
  const conversations = all.reduce((sum, of) => sum + of.conversations, 0);
  const credits = all.reduce((sum, of) => sum + of.credits, 0n);
  const rows = [...groups].sort(byConversations).map(([key, of]) => {
    const [source, platform] = [Math.floor(key / report.platforms.length), key % report.platforms.length];
    const counts = of.counts.has("credits");
    return [named(report, platform), report.sources[source].name,
      countOf(of, "conversations"), bar(share(of.conversations, conversations)),
      creditsOf(of, report.cells.scale), counts ? bar(share(of.credits, credits)) : DASH,
      usersOf(of), countOf(of, "messages", "messages"), countOf(of, "with_a_person", "people")];
  });
  table(control("platforms"), "Platforms in the period, most conversations first", [
    ["Platform", ""], ["Source", ""], ["Conversations", "number"], ["Share", "number"],
    ["Credits", "number"], ["Share of credits", "number"], ["Users", "number"],
    ["Messages", "number"], ["With a person", "number"]], rows, "Nothing matches the filters.");
}

function byConversations([, a], [, b]) {
  return b.conversations - a.conversations || (a.credits < b.credits ? 1 : -1);
}

function botTable(filter, series) {
  const groups = totals(report, cells, filter, series, (i) => report.series[cells.series[i]][0]);
  const rows = [...groups].sort(byConversations).map(([bot, of]) => [
    botName(report.bots[bot]), report.sources[report.bots[bot].source].name,
    countOf(of, "conversations"), creditsOf(of, report.cells.scale), usersOf(of),
    countOf(of, "messages", "messages"), countOf(of, "with_a_person", "people"),
    of.lastDay === null ? DASH : dateOf(report, of.lastDay)]);
  table(control("bots"), "Bots in the period, most conversations first", [
    ["Bot", ""], ["Source", ""], ["Conversations", "number"], ["Credits", "number"],
    ["Users", "number"], ["Messages", "number"], ["With a person", "number"],
    ["Last active", "number"]], rows, "Nothing matches the filters.");
}
