"""A report in a browser: its filters, its figures, and what it asked or complained of."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


class Opened:
    """One page, from its first request on."""

    def __init__(self, page: Page, file: Path) -> None:
        self.page = page
        self.file = file
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda m: self.complaints.append(f"{m.type}: {m.text}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(file.absolute().as_uri())
        page.wait_for_selector("html[data-ready=yes]")

    def assert_quiet(self) -> None:
        assert self.complaints == []
        assert self.requests == [self.file.absolute().as_uri()]

    def choose(self, **chosen: str) -> None:
        """Choose by label; `first` and `last` are the period."""
        ids = {"first": "from", "last": "to"}
        for name, value in chosen.items():
            if name in ids:
                self.page.fill(f"#{ids[name]}", value)
            else:
                self.page.select_option(f"#{name}", label=value)

    def tile(self, name: str) -> str:
        """Return the exact value of a tile, or what stands in place of one."""
        return trimmed(str(self.page.evaluate(_VALUE, f"#tile-{name}")))

    def tiles(self) -> dict[str, str]:
        names = ("credits", "conversations", "users", "messages", "with_a_person", "each")
        return {name: self.tile(name) for name in names}

    def text(self, at: str) -> str:
        return self.page.locator(at).inner_text()

    def rows(self, table: str) -> list[list[str]]:
        """Return the cells of a table, all of its rows, numbers exact."""
        self.page.evaluate(_SHOW_ALL, table)
        found: list[list[str]] = self.page.evaluate(_ROWS, table)
        return [[trimmed(cell) for cell in row] for row in found]

    def evaluate(self, script: str) -> Any:  # noqa: ANN401 - whatever the script returns
        return self.page.evaluate(script)


def trimmed(text: str) -> str:
    """Leave the zeros at the end of an amount away: 1.50 is 1.5."""
    return text.rstrip("0").rstrip(".") if _AMOUNT.fullmatch(text) else text


_AMOUNT = re.compile(r"-?\d+\.\d+")
_VALUE = """
(at) => {
  const cell = document.querySelector(at);
  return cell.querySelector("data")?.value ?? cell.textContent;
}
"""
_SHOW_ALL = """
(at) => document.querySelector(at).parentElement.parentElement
  .querySelector(":scope > .more[aria-expanded=false]")?.click()
"""
_ROWS = """
(at) => [...document.querySelectorAll(`${at} tbody tr`)].map((row) =>
  [...row.children].map((cell) => cell.querySelector("data")?.value ?? cell.textContent))
"""
