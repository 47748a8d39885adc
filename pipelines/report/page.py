"""The page: one HTML file with its style, scripts and data inside; pure.

Nothing in it may ask the network: the policy allows our own style and scripts by their digests,
and nothing else. Data and library stand deflated in blocks that no browser runs; the page's script
unpacks them, runs the library under its digest, and puts the data on the screen as text only.
"""

import base64
import hashlib
import json
import zlib
from importlib import resources

from pipelines.report import charts
from pipelines.report.data import Published
from pipelines.report.document import Document, document

LARGEST = 2_000_000
"""Bytes that a page with the year of a usual customer stays under."""
SCRIPTS = (
    "packed.js",
    "figures.js",
    "tables.js",
    "chart.js",
    "page.js",
    "certificates.js",
    "start.js",
)
_ESCAPED = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def rendered(published: Published, library: str) -> str:
    """Return the page; without the users where it would grow too large with them."""
    found = document(published)
    whole = assembled(found, library)
    if len(whole.encode()) < LARGEST or found["users"] is None:
        return whole
    return assembled(found | {"users": None}, library)


def assembled(found: Document, library: str) -> str:
    """Put the document and the parts of the page together."""
    style = _part("page.css")
    scripts = [library, "\n".join(_part(name) for name in SCRIPTS)]
    return filled(
        _part("page.html"),
        {
            "POLICY": policy(style, scripts),
            "STYLE": style,
            "DATA": packed(_json(found)),
            "CHART": embedded(charts.spend()),
            "LIBRARY": packed(scripts[0]),
            "SCRIPT": scripts[1],
        },
    )


def filled(template: str, parts: dict[str, str]) -> str:
    """Put each part in its place; what looks like a place inside of a part stays as it is."""
    pieces = template.split("%%")
    return "".join(parts[piece] if i % 2 else piece for i, piece in enumerate(pieces))


def policy(style: str, scripts: list[str]) -> str:
    """Return the Content-Security-Policy: these scripts, this style, nothing from anywhere."""
    allowed = " ".join(_digest(script) for script in scripts)
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {allowed}",
            f"style-src {_digest(style)}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def embedded(value: object) -> str:
    """Return JSON that can't end the block it stands in."""
    return _json(value).translate(_ESCAPED)


def packed(text: str) -> str:
    """Return the text deflated, in letters that can't end the block either."""
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _part(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
