"""Who is looking: nobody is asked on this machine alone; else a proxy, OpenID Connect or the users' file tells."""

from __future__ import annotations

import getpass
import os
import time
from pathlib import Path

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError

from apps.language import translate
from apps.page import Visitor
from core.errors import CrossdomainError
from core.lifecycle.serving import PROXY_VARIABLE, check_binding
from core.lifecycle.sign_in import SignInGuard, SignInRefusedError
from core.lifecycle.store import open_store
from core.lifecycle.users import read_users, users_path

SIGNED_IN = "signed_in"  # (name, time) in the session
MAX_SECONDS = 12 * 3600.0
LOWEST_ROLE = "viewer"  # of somebody whom a proxy or OpenID Connect knows and the users' file does not


def current_visitor(root: Path, language: str) -> Visitor:
    """The visitor, or the page ends here with a form or a refusal."""
    path, proxy_header, has_oidc = users_path(root), os.environ.get(PROXY_VARIABLE, "").strip(), _has_oidc()
    try:
        users = read_users(path)
        check_binding(
            st.get_option("server.address") or "", has_users=bool(users), proxy_header=proxy_header, has_oidc=has_oidc
        )
    except CrossdomainError as error:
        st.error(error.message, icon=":material/lock:")
        st.write(error.repair)
        st.stop()
    roles = {name: user.role for name, user in users.items()}
    if proxy_header:
        return _told_by_proxy(proxy_header, roles, language)
    if has_oidc:
        return _told_by_oidc(roles, language)
    if not users:
        return Visitor(getpass.getuser(), "owner", is_local=True)
    name, since = st.session_state.get(SIGNED_IN, ("", 0.0))
    if name in roles and time.time() - since < MAX_SECONDS:
        return Visitor(name, roles[name])
    _show_form(root, path, language)
    st.stop()


def show_sign_out(visitor: Visitor, language: str) -> None:
    """Who is signed in, and a button to leave."""
    if visitor.is_local:
        st.sidebar.caption(translate("common.local", language))
        return
    role = translate(f"common.role_{visitor.role}", language)
    st.sidebar.caption(translate("common.signed_in", language, name=visitor.name, role=role))
    if st.sidebar.button(translate("common.sign_out", language), key="sign_out"):
        st.session_state.clear()
        if _has_oidc():
            st.logout()
        st.rerun()


def _show_form(root: Path, path: Path, language: str) -> None:
    """Name and password; wrong tries are slowed down by the store, whatever session they come from."""
    st.title(translate("sign_in.title", language))
    with st.form("sign_in"):
        name = st.text_input(translate("sign_in.name", language), max_chars=64, autocomplete="username")
        password = st.text_input(
            translate("sign_in.password", language), type="password", max_chars=256, autocomplete="current-password"
        )
        is_sent = st.form_submit_button(translate("sign_in.enter", language), type="primary")
    if not is_sent:
        return
    try:
        user = SignInGuard(open_store(root), path).sign_in(name, password, address=str(st.context.ip_address or ""))
    except SignInRefusedError as error:
        st.error(f"{error.message} {error.repair}", icon=":material/lock:")
        return
    st.session_state[SIGNED_IN] = (user.name, time.time())
    st.rerun()


def _told_by_proxy(header: str, roles: dict[str, str], language: str) -> Visitor:
    name = (st.context.headers.get(header) or "").strip()
    if not name:
        st.error(translate("sign_in.no_header", language, header=header), icon=":material/lock:")
        st.stop()
    return Visitor(name, roles.get(name, LOWEST_ROLE))


def _told_by_oidc(roles: dict[str, str], language: str) -> Visitor:
    if not st.user.is_logged_in:
        st.title(translate("sign_in.title", language))
        if st.button(translate("sign_in.enter", language), type="primary"):
            st.login()
        st.stop()
    name = str(st.user.get("email") or st.user.get("sub"))
    return Visitor(name, roles.get(name, LOWEST_ROLE))


def _has_oidc() -> bool:
    """Whether .streamlit/secrets.toml has a section [auth]."""
    try:
        return "auth" in st.secrets
    except StreamlitSecretNotFoundError:
        return False
