"""Passwords and tokens in URLs are left out of what is printed and stored."""

from __future__ import annotations

import pytest

from mirror.core.redaction import redact

REDACTED = {
    "user and password": ("https://user:s3cr3t@host/x", "https://host/x"),
    "a token for a user": ("https://s3cr3t@host/x", "https://host/x"),
    "a password with an at sign": ("https://user:s3cr3t@s3cr3t@host/x", "https://host/x"),
    "a password with a slash": ("https://user:s3/cr3t@host/x", "https://host/x"),
    "a password with a question mark": ("https://user:s3?cr3t@host:80/", "https://host:80/"),
    "another scheme": ("s3://key:s3cr3t@bucket/bag.tar", "s3://bucket/bag.tar"),
    "scheme in capitals": ("HTTPS://user:s3cr3t@HOST", "HTTPS://HOST"),
    "as a path has it": ("http:/user:s3cr3t@host/x", "http:/host/x"),
    "no path": ("http://user:s3cr3t@[::1]:80", "http://[::1]:80"),
    "within a sentence": (
        "not found: http://u:s3cr3t@a/x, http://v:s3cr3t@b.",
        "not found: http://a/x, http://b.",
    ),
    "within quotes": ('at "ftp://u:s3cr3t@a/x"', 'at "ftp://a/x"'),
    "a signed URL of S3": (
        "https://b/x?X-Amz-Date=1&X-Amz-Signature=s3cr3t&X-Amz-Credential=s3cr3t%2Fx",
        "https://b/x?X-Amz-Date=1&X-Amz-Signature=REDACTED&X-Amz-Credential=REDACTED",
    ),
    "a signed URL of Azure": ("https://b/x?sv=2&sig=s3cr3t#f", "https://b/x?sv=2&sig=REDACTED#f"),
    "a token in the query": ("https://b/?access_token=s3cr3t", "https://b/?access_token=REDACTED"),
    "a key in the query": ("https://b/?api-key=s3cr3t", "https://b/?api-key=REDACTED"),
}

UNCHANGED = [
    "",
    "bag.tar",
    "user@host",
    "folder/user:word@x/bundle.json",
    "https://host/@user/x",
    "c:/user:word@x",
    "https://host:8080/@user/x",
    "https://host/x?at=a@b",
    "https://host/x?page=2&signatures=yes&monkey=1",
    "see https://host and write to user@host",
    "s3://bucket/*.tar",
]


@pytest.mark.parametrize("name", REDACTED)
def test_secrets_are_left_out(name: str) -> None:
    """And all else stays, so that a person knows which URL it is."""
    text, expected = REDACTED[name]
    assert expected == redact(text)
    assert "s3cr3t" not in redact(text)
    assert expected == redact(expected)


@pytest.mark.parametrize("text", UNCHANGED)
def test_other_texts_stay_as_they_are(text: str) -> None:
    """Names of files and addresses without a secret."""
    assert text == redact(text)


def test_a_long_text_is_redacted_in_linear_time() -> None:
    """Each place is looked at for 2,000 characters at most."""
    text = "://a:b" * 20_000
    assert text == redact(text)
