"""Leaves out of a text what nobody else may read: passwords and tokens in URLs.

A URL that is given to a command may carry them (RFC 3986 section 3.2.1; signed URLs of object
stores). It is used as it is, and printed and stored only as `redact` returns it.
"""

from __future__ import annotations

import re

__all__ = ["redact"]

_USER = re.compile(
    r"""([a-z][a-z0-9+.-]{1,20}:/{1,2})         # with one slash where it was taken for a path
    (?: [^/?#\s"'<>]*@                          # user:password@; the user alone may be a token
      | [^/?#\s"'<>:]*:(?!\d*[/?#\s])\S{0,2000}@  # a password with a slash that was not escaped
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_QUERY = re.compile(
    r"""(?<=[?&;])
    ([\w.-]*(?:signature|credential|token|secret|password|passwd|api[_-]?key|accesskeyid)|sig|key)
    =[^&;#\s"'<>]*""",
    re.VERBOSE | re.IGNORECASE,
)
"""Parameters that give access: S3's `X-Amz-Signature`, Google's, Azure's `sig`, and the usual."""


def redact(text: str) -> str:
    """Return a text with its URLs less their user and password, and what a signature stands for.

    `https://user:secret@host/x?token=abc` becomes `https://host/x?token=REDACTED`. A text
    without a URL is returned as it is.
    """
    if ":/" not in text:
        return text
    return _QUERY.sub(r"\1=REDACTED", _USER.sub(r"\1", text))
