"""Scripts that measure a page: contrast, names of controls, what overflows."""

AXIS = """
JSON.stringify([...document.querySelectorAll('#chart .role-axis-label text')]
  .map((label) => label.textContent).filter((text) => /[a-z]/i.test(text)).sort())
  === JSON.stringify(wanted)
"""

FITS = """
[...document.querySelectorAll('.tile')].every((e) => e.scrollWidth <= e.clientWidth)
"""

LANDMARKS = "['header', 'main', 'footer'].map((n) => document.querySelectorAll(n).length)"

TABLES_WITHOUT_CAPTION = """
[...document.querySelectorAll('table')].filter((t) => t.rows.length && !t.caption).map((t) => t.id)
"""

NAMELESS = """
[...document.querySelectorAll('select, input, button, [tabindex="0"], [role=img]')].filter((e) => !(
  e.labels?.length || e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') ||
  (e.matches('button') && e.textContent.trim()))).map((e) => e.outerHTML.slice(0, 80))
"""

CONTRAST = """
(() => {
  const of = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((c) => c / 255).map((c) =>
    c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const colour = of(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
  };
  const faint = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility() || e.closest('script, svg, option')) continue;
    const [a, b] = [light(of(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) faint.push(e.outerHTML.slice(0, 80));
  }
  for (const label of document.querySelectorAll('#chart svg text')) {
    const behind = light(ground(label.closest('section')));
    const [a, b] = [light(of(getComputedStyle(label).fill)), behind]
      .sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) faint.push(label.textContent);
  }
  for (const mark of document.querySelectorAll('.swatch')) {
    const [a, b] = [light(ground(mark)), light(ground(mark.closest('section')))]
      .sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 3) faint.push(mark.className);
  }
  return faint;
})()
"""
