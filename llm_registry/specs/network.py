"""Tells the user's own network from the internet. Environment proxies are for the latter only.

Environment certificate authorities are for both: a home server may have a self-signed certificate.
"""

import os
import ssl
from ipaddress import ip_address
from urllib.parse import urlsplit


def is_local(url: str) -> bool:
    """Whether an address is on this machine or in its private network."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or ("." not in host and ":" not in host):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return host.endswith((".local", ".lan", ".internal"))
    return address.is_private or address.is_loopback


def trusted_certificates() -> ssl.SSLContext | bool:
    """Whose certificates are trusted: those of `SSL_CERT_FILE` and `SSL_CERT_DIR`, else (`True`) the HTTP library's.

    The library reads these variables only together with proxy variables. A path that does not exist is ignored.
    """
    file, folder = os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", "")
    given = file if os.path.isfile(file) else None, folder if os.path.isdir(folder) else None  # noqa: PTH112, PTH113
    return ssl.create_default_context(cafile=given[0], capath=given[1]) if any(given) else True
