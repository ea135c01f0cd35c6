"""Logging in at an OpenID provider: the authorization code flow with PKCE (OpenID Connect Core 1.0, section 3.1).

A file in TOML says which provider, and which of its groups has which role here:

    issuer = "https://login.example.com/realms/plant"
    client_id = "quaver"
    client_secret_file = "openid.secret"   # beside this file, readable by its owner alone
    url = "https://plant.example.com/"     # of the page, as browsers reach it
    title = "the company's account"        # on the button
    claim = "groups"                       # of the ID token; "realm_access.roles" is one in another
    [roles]
    "plant-admins" = "admin"
    "plant-electricians" = "technician"
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from quaver.access.roles import ROLES
from quaver.access.users import user_name
from quaver.errors import AccessError
from quaver.files.private import read_private
from quaver.files.tables import read_tables

try:
    import requests
    from authlib.common.errors import AuthlibBaseError
    from authlib.integrations.requests_client import OAuth2Session
    from authlib.oidc.core import CodeIDToken
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet
    from joserfc.jws import JWSRegistry
except ImportError as missing:
    raise AccessError("logging in at an OpenID provider needs authlib: pip install 'quaver[page]'") from missing

CALLBACK = "api/v1/openid/callback"  # what the provider has to know, below the page's URL
_PENDING_S = 600  # how long a login at the provider may take
_PENDING = 1000  # logins that are under way
_TIMEOUT_S = 10
_LEEWAY_S = 60  # between the provider's clock and this one
_KEYS_S = 3600  # how long the provider's keys are kept
_SECRET_MAX = 4096
# By a key pair of the provider: what is signed with the client's own secret, or not at all, is refused.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA"]


class Plan(BaseModel):
    """What the file says."""

    model_config = ConfigDict(extra="forbid")

    issuer: str = Field(max_length=500)
    client_id: str = Field(min_length=1, max_length=200)
    client_secret_file: Path
    url: str = Field(max_length=500)
    title: str = Field("OpenID Connect", min_length=1, max_length=60)
    claim: str = Field("groups", min_length=1, max_length=200)
    roles: dict[str, Literal["viewer", "technician", "engineer", "admin"]] = Field(min_length=1)
    ca: Path | None = None

    @field_validator("issuer", "url")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        parts = urlsplit(value)
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if parts.scheme != "https" and (parts.scheme != "http" or not local):
            raise ValueError("has to begin with https://")
        if not parts.netloc or parts.query or parts.fragment:
            raise ValueError("has to be a URL with a host, without ? and #")
        return value


@dataclass(frozen=True)
class Person:
    """Who has logged in at the provider. subject: issuer and subject, the only name that stays. role: "" for nobody
    to whom the file gives one."""

    subject: str
    name: str
    role: str


@dataclass(frozen=True)
class _Login:
    """One that is under way. browser: hash of what the browser keeps. back: where the page goes on."""

    browser: bytes
    nonce: str
    verifier: str
    back: str
    began: float


def read_plan(path: Path) -> Plan:
    """The file, its paths taken from its own folder. Raises AccessError, with the key that is wrong."""
    try:
        plan = Plan.model_validate(read_tables(path, AccessError, "name a file for --openid"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise AccessError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    plan.client_secret_file = path.parent / plan.client_secret_file
    plan.ca = path.parent / plan.ca if plan.ca else None
    return plan


class OpenId:
    """One provider. now: the date, s since 1970. Every method may ask the provider for seconds: call it in a thread."""

    def __init__(self, plan: Plan, now: Callable[[], float] = time.time) -> None:
        self.title = plan.title
        self._plan, self._now = plan, now
        kept = read_private(plan.client_secret_file, _SECRET_MAX, AccessError)
        if kept is None or not kept.strip():
            raise AccessError(f"{plan.client_secret_file}: holds no secret; write the client's secret into it")
        self._secret = kept.decode(errors="replace").strip()
        self._redirect = f"{plan.url.rstrip('/')}/{CALLBACK}"
        self._pending: OrderedDict[bytes, _Login] = OrderedDict()
        self._turn = threading.Lock()
        self._about: dict[str, Any] = {}
        self._keys: KeySet | None = None
        self._fetched = 0.0

    def begin(self, back: str) -> tuple[str, str]:
        """(where the browser is sent, what it keeps until it comes back). back: a hash of the page."""
        about = self._discover()
        browser, state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(4))
        login = _Login(_hash(browser), nonce, verifier, back, self._now())
        with self._turn:
            self._pending[_hash(state)] = login
            while len(self._pending) > _PENDING:
                self._pending.popitem(last=False)
        with self._session() as session:
            url, _ = session.create_authorization_url(
                about["authorization_endpoint"], state=state, code_verifier=verifier, nonce=nonce
            )
        return str(url), browser

    def finish(self, given: dict[str, str], browser: str) -> tuple[Person, str]:
        """Who has come back, and where the page goes on. given: the callback's query. browser: what it kept.

        Raises AccessError.
        """
        with self._turn:
            login = self._pending.pop(_hash(given.get("state", "")), None)
        late = login is None or abs(self._now() - login.began) > _PENDING_S
        if login is None or late or not compare_digest(login.browser, _hash(browser)):
            raise AccessError("the login was not begun in this browser, or took too long; begin again")
        about = self._discover()
        if given.get("iss", about["issuer"]) != about["issuer"]:  # RFC 9207
            raise AccessError("another provider answers than was asked; begin again")
        if "code" not in given:
            raise AccessError(f"the provider refuses: {given.get('error', 'no code')[:100]}")
        try:
            with self._session() as session:
                token = session.fetch_token(
                    about["token_endpoint"],
                    grant_type="authorization_code",
                    code=given["code"],
                    code_verifier=login.verifier,
                    redirect_uri=self._redirect,
                    timeout=_TIMEOUT_S,
                )
            return self._person(self._claims(token, login.nonce)), login.back
        except (AuthlibBaseError, JoseError, requests.RequestException, ValueError) as error:
            raise AccessError(f"the provider's answer does not hold ({type(error).__name__}); begin again") from error

    def _claims(self, token: dict[str, Any], nonce: str) -> dict[str, Any]:
        """The ID token's claims, checked as section 3.1.3.7 asks for."""
        text = token.get("id_token")
        if not isinstance(text, str):
            raise AccessError("the provider sends no ID token; give the client the scope openid")
        registry = JWSRegistry(algorithms=_ALGORITHMS, strict_check_header=False)
        try:
            opened = jwt.decode(text, self._key_set(), registry=registry)
        except JoseError:
            # The provider may have new keys: once more with those.
            opened = jwt.decode(text, self._key_set(fresh=True), registry=registry)
        plan = self._plan
        claims = CodeIDToken(
            opened.claims,
            opened.header,
            {"iss": {"essential": True, "value": plan.issuer}, "aud": {"essential": True, "value": plan.client_id}},
            {"nonce": nonce, "client_id": plan.client_id, "access_token": token.get("access_token")},
        )
        claims.validate(now=int(self._now()), leeway=_LEEWAY_S)
        return dict(claims)

    def _person(self, claims: dict[str, Any]) -> Person:
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise AccessError("the provider names a subject that is none")
        has: Any = claims
        for part in self._plan.claim.split("."):
            has = has.get(part) if isinstance(has, dict) else None
        groups = [has] if isinstance(has, str) else has if isinstance(has, list) else []
        given = {self._plan.roles.get(group) for group in groups if isinstance(group, str)}
        role = max((role for role in ROLES if role in given), key=list(ROLES).index, default="")
        return Person(f"{self._plan.issuer} {subject}", _name(claims, subject), role)

    def _session(self) -> Any:
        session = OAuth2Session(
            self._plan.client_id,
            self._secret,
            scope="openid profile email",
            redirect_uri=self._redirect,
            code_challenge_method="S256",
        )
        if self._plan.ca:
            session.verify = str(self._plan.ca)
        return session

    def _discover(self) -> dict[str, Any]:
        """What the provider says of itself: OpenID Connect Discovery 1.0, section 4."""
        if self._about and abs(self._now() - self._fetched) < _KEYS_S:
            return self._about
        about = self._get(f"{self._plan.issuer.rstrip('/')}/.well-known/openid-configuration")
        if about.get("issuer") != self._plan.issuer:
            raise AccessError(f"the provider calls itself {str(about.get('issuer'))[:200]!r}, not as `issuer` says")
        secure = urlsplit(self._plan.issuer).scheme
        for key in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not isinstance(about.get(key), str) or urlsplit(about[key]).scheme not in ("https", secure):
                raise AccessError(f"the provider names no safe {key}")
        self._about, self._keys, self._fetched = about, None, self._now()
        return about

    def _key_set(self, fresh: bool = False) -> KeySet:
        if self._keys is None or fresh:
            found: Any = self._get(self._discover()["jwks_uri"])
            self._keys = KeySet.import_key_set(found)
        return self._keys

    def _get(self, url: str) -> dict[str, Any]:
        try:
            answer = requests.get(url, timeout=_TIMEOUT_S, verify=str(self._plan.ca) if self._plan.ca else True)
            answer.raise_for_status()
            found = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise AccessError(
                f"the OpenID provider does not answer ({type(error).__name__}); try again later"
            ) from error
        if not isinstance(found, dict):
            raise AccessError("the OpenID provider answers with something else; check `issuer`")
        return found


def _name(claims: dict[str, Any], subject: str) -> str:
    """What a person is called here: what the provider calls them, where that is a name."""
    for key in ("preferred_username", "email"):
        with contextlib.suppress(AccessError):
            if isinstance(claims.get(key), str):
                return user_name(claims[key])
    return f"openid-{sha256(subject.encode()).hexdigest()[:12]}"


def _hash(text: str) -> bytes:
    return sha256(text.encode(errors="replace")).digest()
