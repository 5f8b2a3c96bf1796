"""The models' regular expressions: Java's dialect, made Python's where that can be done exactly.

A pattern that cannot be translated, or that could be made to run for ever, checks nothing: the
model's patterns are a courtesy of AWS, and refusing what AWS accepts would be worse.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable

# How long a text may be to be judged. Python's engine tries every way to split a text between
# repetitions that overlap, so the time grows with the power of their number.
CHARS_MAX = 4096
CHARS_MANY_REPEATS_MAX = 256
REPEATS_FEW = 1

_SUPPLEMENTARY = r"\uD800\uDC00-\uDBFF\uDFFF"
# Everything that stands for one character becomes a dot, so that only the structure is left.
_ONE = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|.)|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_REPEAT = re.compile(r"[*+]|\{\d*,\}|\{\d*,?\d{3,}\}")
_QUANTIFIER = re.compile(r"[*+{?]")


def _translated(pattern: str) -> str | None:
    text = pattern.replace(_SUPPLEMENTARY, "\\U00010000-\\U0010FFFF")
    if "\\p{" in text or "\\P{" in text:
        text = text.replace(r"\p{L}", r"\w").replace(r"\p{N}", r"\w").replace(r"\p{Z}", r"\s")
        if "\\p{" in text or "\\P{" in text:
            return None
    if "&&" in text or _explodes(text):
        return None
    return text


def _explodes(pattern: str) -> bool:
    """Whether a group that repeats without bound varies inside: that can take exponential time."""
    bare = _ONE.sub(".", pattern)
    varies = [False]
    for at, char in enumerate(bare):
        following = bare[at + 1 : at + 2]
        if char == "(":
            varies.append(False)
        elif char == ")" and len(varies) > 1:
            inside = varies.pop()
            if inside and following in ("*", "+", "{"):
                return True
            varies[-1] |= inside
        elif char in "*+{" or (char == "?" and bare[at - 1] != "("):
            varies[-1] = True
    return False


def matcher(pattern: str) -> Callable[[str], object] | None:
    """Tells whether a text satisfies the pattern; None where we cannot say.

    The whole text has to match, except where a pattern is only one character that must occur.
    """
    text = _translated(pattern)
    if text is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compiled = re.compile(text)
    except (re.error, Warning, RecursionError, OverflowError):
        return None
    match = compiled.fullmatch if _QUANTIFIER.search(text) else compiled.search
    few = len(_REPEAT.findall(text)) <= REPEATS_FEW
    chars_max = CHARS_MAX if few else CHARS_MANY_REPEATS_MAX
    return lambda value: len(value) > chars_max or match(value)
