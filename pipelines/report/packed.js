"use strict";
// The data and the chart's library come deflated: a year of many bots still fits into a mail.

async function unpacked(id) {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent),
    (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).text();
}

// The page's policy knows the digest of its text, and lets nothing else run.
async function runLibrary() {
  const script = element("script", {}, await unpacked("library"));
  document.head.append(script);
  script.remove();
}

function canUnpack() {
  return "DecompressionStream" in window;
}
