"""Whose certificates are trusted: those of the machine, or of a file that its operator names."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import httpx

from mirror.errors import UpstreamError

__all__ = ["trusted_context"]


def trusted_context() -> ssl.SSLContext:
    """Return how to check certificates and names; nothing switches that off.

    `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the machine's own store, as OpenSSL has it. Where
    the machine has no store, as in some containers, certifi's takes its place.

    Raises:
        UpstreamError: What these variables name cannot be read (`upstream.tls`).
    """
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if not (file or folder):
        return ssl.create_default_context() if _has_store() else _certifi_context()
    try:
        return ssl.create_default_context(cafile=file or None, capath=folder or None)
    except OSError as error:  # ssl.SSLError, for a file that holds no certificate, is one
        message = "The certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read."
        hint = "Name a file of certificates in PEM form, or unset the variable."
        raise UpstreamError(
            "upstream.tls", message, where=file or folder or "", hint=hint
        ) from error


def _has_store() -> bool:
    paths = ssl.get_default_verify_paths()
    return bool(paths.cafile) or (bool(paths.capath) and any(Path(paths.capath).iterdir()))


def _certifi_context() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)
