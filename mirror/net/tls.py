"""Trusted certificates: those of the system, or of a file that the environment names."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import httpx

from mirror.errors import UpstreamError

__all__ = ["trusted_context"]


def trusted_context() -> ssl.SSLContext:
    """Return a TLS context that verifies certificates and host names; it cannot be disabled.

    `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the system's certificates, as with OpenSSL. If the
    system has none, as in some containers, those of certifi are used.

    Raises:
        UpstreamError: `upstream.tls` if the file or folder of these variables cannot be read.
    """
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if not (file or folder):
        return ssl.create_default_context() if _has_store() else _certifi_context()
    try:
        return ssl.create_default_context(cafile=file or None, capath=folder or None)
    except OSError as error:  # ssl.SSLError, for a file that holds no certificate, is one
        message = "The certificates of SSL_CERT_FILE or SSL_CERT_DIR cannot be read."
        hint = "Set it to a file of certificates in PEM format, or unset it."
        raise UpstreamError(
            "upstream.tls", message, where=file or folder or "", hint=hint
        ) from error


def _has_store() -> bool:
    paths = ssl.get_default_verify_paths()
    return bool(paths.cafile) or (bool(paths.capath) and any(Path(paths.capath).iterdir()))


def _certifi_context() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)
