"""What upstream sends, made fit to be read: no control, no direction that spills over."""

import unicodedata

_BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x061C, 0x200E, 0x200F}
_SPACES = {"\t", "\n", "\r", "\u2028", "\u2029"}


def plain(text: str | None, most: int = 120) -> str:
    """Return the text in one line of at most so many characters; what can't be seen is spelled."""
    if text is None:
        return ""
    shown = "".join(_shown(character) for character in text[: most + 1])
    line = " ".join(shown.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def _shown(character: str) -> str:
    if character in _SPACES:
        return " "
    if ord(character) in _BIDI or unicodedata.category(character) in {"Cc", "Cs"}:
        return f"\\u{ord(character):04x}"
    return character
