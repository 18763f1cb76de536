"""The badge that other sites can embed: an SVG with a record's number and receipt status."""

from __future__ import annotations

from mirror.core.record import Record

__all__ = ["badge_svg"]

_UNIT = 6.6
"""Width of a letter; `textLength` enforces it in any font."""
_PADDING = 14

_BADGE = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="22" viewBox="0 0 {width} 22" \
role="img" aria-label="{number}: {status}">
<title>{number}: {status}</title>
<rect width="{width}" height="22" rx="4" fill="{colour}"/>
<path d="M4 0h{left_line}v22H4a4 4 0 0 1-4-4V4a4 4 0 0 1 4-4z" fill="#2b2823"/>
<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11" \
text-anchor="middle">
<text x="{left_middle}" y="15" textLength="{left_text}">{number}</text>
<text x="{right_middle}" y="15" textLength="{right_text}">{status}</text>
</g>
</svg>
"""


def badge_svg(record: Record, *, is_verified: bool) -> bytes:
    """Return the badge, which contains no untrusted string."""
    number = record.short_pith_number
    status = "receipt verified" if is_verified else "no verified receipt"
    left_text, right_text = round(len(number) * _UNIT, 1), round(len(status) * _UNIT, 1)
    left = left_text + _PADDING
    return _BADGE.format(
        number=number,
        status=status,
        colour="#24613f" if is_verified else "#6b645a",
        width=round(left + right_text + _PADDING, 1),
        left_line=round(left - 4, 1),
        left_middle=round(left / 2, 1),
        left_text=left_text,
        right_middle=round(left + (right_text + _PADDING) / 2, 1),
        right_text=right_text,
    ).encode()
