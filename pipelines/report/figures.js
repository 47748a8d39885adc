"use strict";
// Figures out of cells. Credits stay whole numbers (BigInt) of 10^-scale, so sums are exact.

function running(steps) {
  let sum = 0;
  return steps.map((step) => (sum += step));
}

function amounts(text) {
  return text === "" ? [] : text.split(" ").map(BigInt);
}

function decoded(report) {
  const { cells, users } = report;
  const credits = amounts(cells.credits);
  const apart = amounts(cells.counters);
  return {
    ...cells,
    day: cells.a_day.flatMap((number, day) => Array(number).fill(day)),
    series: running(cells.series),
    credits,
    counters: apart.map((amount, i) => amount + credits[i]),
    users:
      users === null
        ? null
        : users.split(";").filter(Boolean).map((one) => running(one.split(" ").map(Number))),
  };
}

// Which series the filters let through, whatever the period.
function chosenSeries(report, filter) {
  return report.series.map(([bot, platform]) => {
    const source = report.bots[bot].source;
    return (
      (filter.source === null || filter.source === source) &&
      (filter.platform === null || filter.platform === platform) &&
      (filter.bot === null || filter.bot === bot)
    );
  });
}

function nothing() {
  return {
    credits: 0n, counters: 0n, counted: 0, conversations: 0, messages: 0,
    with_a_person: 0, users: 0, lastDay: null, counts: new Set(),
  };
}

// Totals of the cells under a filter, by what `groupOf` says of a cell's number.
function totals(report, cells, filter, chosen, groupOf) {
  const groups = new Map();
  const at = (key) => groups.get(key) ?? groups.set(key, nothing()).get(key);
  const inside = (i) =>
    chosen[cells.series[i]] && cells.day[i] >= filter.from && cells.day[i] <= filter.to;
  for (let i = 0; i < cells.day.length; i++) if (inside(i)) add(at(groupOf(i)), report, cells, i);
  for (const seen of cells.users ?? [])
    for (const key of new Set(seen.filter(inside).map(groupOf))) at(key).users += 1;
  return groups;
}

function add(total, report, cells, i) {
  total.credits += cells.credits[i];
  total.counters += cells.counters[i];
  for (const name of ["counted", "conversations", "messages", "with_a_person"])
    total[name] += cells[name][i];
  total.users += cells.single_users[i];
  if (cells.conversations[i] > 0) total.lastDay = Math.max(total.lastDay ?? 0, cells.day[i]);
  counting(report, cells.series[i], total.counts);
}

// What the source of a series counts; where no source does, the page shows a dash.
function counting(report, series, counts) {
  const source = report.sources[report.bots[report.series[series][0]].source];
  for (const name of ["credits", "messages", "people"])
    if (source[`counts_${name}`]) counts.add(name);
}

// A whole number of 10^-scale, rounded half away from zero to so many digits.
function decimal(amount, scale, digits) {
  const sign = amount < 0n ? "-" : "";
  let whole = amount < 0n ? -amount : amount;
  if (scale > digits) {
    const unit = 10n ** BigInt(scale - digits);
    whole = (whole + unit / 2n) / unit;
  } else {
    whole *= 10n ** BigInt(digits - scale);
  }
  const text = whole.toString().padStart(digits + 1, "0");
  const cut = text.length - digits;
  return sign + text.slice(0, cut) + (digits ? `.${text.slice(cut)}` : "");
}

// A ratio, rounded once, half away from zero, to so many digits; `of` is above zero.
function ratio(amount, of, digits) {
  const sign = amount < 0n ? -1n : 1n;
  const units = sign * amount * 10n ** BigInt(digits);
  return decimal(sign * ((2n * units + of) / (2n * of)), digits, digits);
}

function mean(amount, scale, number) {
  return ratio(amount, BigInt(number) * 10n ** BigInt(scale), 4);
}

// In percent; corrections can take a whole to zero or below, of which nothing has a share.
function share(part, whole) {
  return whole > 0 ? ratio(100n * BigInt(part), BigInt(whole), 1) : "0.0";
}

function grouped(text) {
  const [whole, fraction] = text.split(".");
  const spaced = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? spaced : `${spaced}.${fraction}`;
}
