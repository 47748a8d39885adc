"use strict";
// How complete and how fresh the data are, and the newest conversations.

const SHOWN = 50;

function standing(of) {
  if (of.given_up) return ["former", `No longer read since ${of.last_sync_at.slice(0, 10)}`];
  if (of.certified === null) return ["bad", "Never read"];
  if (!of.certified) return ["bad", "Not complete"];
  return of.late ? ["late", "Complete, but old"] : ["good", "Complete"];
}

function current(all) {
  return all.filter((of) => !of.given_up);
}

// One sentence: how many are complete, and which are not. Bots that are given up raise no alarm.
function verdict(every) {
  const all = current(every);
  if (!all.length) return ["bad", every.length ? "No bot here is read any longer." : "No bot has been read yet."];
  const wrong = all.filter((of) => standing(of)[0] === "bad");
  const late = all.filter((of) => standing(of)[0] === "late");
  if (wrong.length) return ["bad",
    `${wrong.length} of ${bots(all.length)} ${wrong.length === 1 ? "is" : "are"} not complete: ${listed(wrong)}.`];
  const whole = all.length === 1 ? "The only bot is complete" : `All ${all.length} bots are complete`;
  if (late.length) return ["late", `${whole}, but not read for over a day: ${listed(late)}.`];
  return ["good", `${whole}.`];
}

function bots(number) {
  return number === 1 ? "1 bot" : `${number} bots`;
}

function listed(some) {
  const more = some.length > 5 ? ` and ${some.length - 5} more` : "";
  return some.slice(0, 5).map((of) => report.bots[of.bot].name).join(", ") + more;
}

function unreadable(number) {
  if (!number) return "Every row that was received could be read.";
  return `${grouped(String(number))} received ${number === 1 ? "row" : "rows"} could not be read `
    + `and ${number === 1 ? "is" : "are"} kept in rejected_rows.`;
}

function statusOf(kind, text) {
  const mark = { good: "✓", late: "!", bad: "✕", former: "–" }[kind];
  return element("span", { class: `status ${kind}` },
    element("span", { class: "mark", "aria-hidden": "true" }, mark), bidi(text));
}

function utc(moment) {
  return moment?.replace(" UTC", "") ?? DASH;
}

// Bots and sources choose here; platform and period say nothing of a reading.
function certificateTable(filter) {
  const some = report.certificates.filter((of) =>
    (filter.source === null || of.source === filter.source) &&
    (filter.bot === null || of.bot === filter.bot));
  const filtered = some.length < report.certificates.length;
  const rejected = filtered ? some.reduce((sum, of) => sum + of.rejected, 0) : report.rejected;
  put("complete", `${verdict(some)[1]} ${unreadable(rejected)}`);
  const rows = some.map((of) => [
    botName(report.bots[of.bot]), report.sources[of.source].name, statusOf(...standing(of)),
    utc(of.last_complete_sync_at), of.lag ?? DASH, utc(of.last_sync_at),
    utc(of.newest_activity_at), bidi(of.evidence || DASH), figure(String(of.rejected))]);
  table(control("certificates"), "Bots and their latest certificate", [
    ["Bot", ""], ["Source", ""], ["State", ""], ["Complete as of (UTC)", "when"],
    ["Lag", "when"], ["Last read (UTC)", "when"], ["Newest activity (UTC)", "when"],
    ["Proof", "text"], ["Not readable", "number"]], rows, "No bot matches the filters.", 20);
}

function heading() {
  const newest = current(report.certificates).map((of) => of.last_complete_sync_at).filter(Boolean).sort();
  const read = newest.length
    ? ` Data complete as of ${newest[0]}${newest.length > 1 && newest.at(-1) !== newest[0]
      ? ` (oldest bot) to ${newest.at(-1)} (freshest)` : ""}.` : "";
  put("made", `Report of ${report.made}.${read} Days are ${report.zone}.`);
  const [kind, text] = verdict(report.certificates);
  const rejected = report.rejected ? ` ${unreadable(report.rejected)}` : "";
  put("state", statusOf(kind === "good" && report.rejected ? "late" : kind, text + rejected));
}

function newestTable(filter, series) {
  const rows = report.newest.filter(([day, , of]) =>
    series[of] && day >= filter.from && day <= filter.to).slice(0, SHOWN);
  const shown = rows.map(([, at, of, subject, messages, credits]) => {
    const [bot, platform] = report.series[of];
    return [at, named(report, platform), botName(report.bots[bot]),
      report.sources[report.bots[bot].source].name,
      subject ? element("span", { dir: "auto", class: "subject" }, subject) : DASH,
      messages === null ? DASH : figure(String(messages)), creditText(credits)];
  });
  const known = report.newest.length;
  table(control("newest"), `Newest conversations out of the latest ${known}`, [
    ["Last active", "when"], ["Platform", ""], ["Bot", ""], ["Source", ""], ["Subject", "text"],
    ["Messages", "number"], ["Credits", "number"]], shown,
    `None of the latest ${known} conversations matches the filters.`, 15);
}

function creditText(text) {
  if (text === null) return DASH;
  const [whole, fraction = ""] = text.split(".");
  return figure(text, grouped(decimal(BigInt(whole + fraction), fraction.length, 2)));
}
