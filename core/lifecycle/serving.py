"""May the dashboard listen on an address? Beyond this machine only with somebody who asks who is there."""

from __future__ import annotations

import ipaddress

from core.errors import CrossdomainError

PROXY_VARIABLE = "CROSSDOMAIN_PROXY_USER_HEADER"


def is_local(address: str) -> bool:
    """Whether only this machine can reach an address: localhost, 127.0.0.0/8 or ::1. The empty one is every address."""
    text = address.strip().lower().removeprefix("[").removesuffix("]")
    if text == "localhost":
        return True
    try:
        return ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False


def check_binding(address: str, *, has_users: bool, proxy_header: str, has_oidc: bool) -> None:
    """Stop before anybody on the network sees cases without having signed in.

    proxy_header: the header in which a proxy in front tells who is signed in; empty where there is none.

    Raises:
        CrossdomainError: the address is not this machine's alone and nobody is asked to sign in.
    """
    if is_local(address) or has_users or proxy_header.strip() or has_oidc:
        return
    raise CrossdomainError(
        f"The dashboard would listen on {address or 'every address'}, and nobody is asked who they are.",
        repair="Do one of these: (1) add people with `crossdomain users add NAME --role owner`; (2) set "
        f"{PROXY_VARIABLE} to the header in which your proxy tells the user's name; (3) set up [auth] for OpenID "
        "Connect in .streamlit/secrets.toml. Or listen on localhost alone.",
    )
