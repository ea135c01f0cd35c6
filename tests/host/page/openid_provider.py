"""An OpenID provider for tests: authlib's own server side, over HTTP, with one client and one person.

It asks for PKCE and a nonce, and holds a code against its verifier, its client's secret and its redirect URI. `claims`
and `header` are what a test has it say instead of the truth.
"""

import functools
import os
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode
from flask import Flask, jsonify, request
from joserfc.jwk import KeySet, RSAKey
from werkzeug.serving import WSGIRequestHandler, make_server

# Flask's request knows only what came over plain HTTP here; the provider of a test is on loopback.
os.environ.setdefault("AUTHLIB_INSECURE_TRANSPORT", "1")

CLIENT, SECRET = "quaver-page", "a secret of the client"


@dataclass
class Client(ClientMixin):
    redirects: list[str]

    def get_client_id(self) -> str:
        return CLIENT

    def get_default_redirect_uri(self) -> str:
        return self.redirects[0]

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.redirects

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


@dataclass
class Code(AuthorizationCodeMixin):
    redirect_uri: str
    scope: str
    nonce: str
    code_challenge: str
    code_challenge_method: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str:
        return self.nonce

    def get_auth_time(self) -> None:
        return None

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


@dataclass
class Provider:
    """Serves as a context. person: the claims of who is logged in at the provider."""

    person: dict[str, Any] = field(default_factory=lambda: {"sub": "42", "preferred_username": "Rita"})
    claims: dict[str, Any] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "RS256"
    redirects: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = _key("one")
        self.published = [self.key]
        self.codes: dict[str, Code] = {}
        self.seen: list[dict[str, str]] = []
        self._server = make_server("127.0.0.1", 0, self._app(), threaded=True, request_handler=_Quiet)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "Provider":
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _app(self) -> Flask:
        app = Flask(__name__)
        server = AuthorizationServer(app, lambda _id: Client(self.redirects), lambda token, _request: None)
        provider = self

        class Grant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
            TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic",)

            def save_authorization_code(self, code: str, asked: Any) -> None:
                sent = asked.payload.data
                provider.codes[code] = Code(
                    *(asked.payload.redirect_uri, asked.payload.scope, sent["nonce"]),
                    *(sent["code_challenge"], sent["code_challenge_method"]),
                )

            def query_authorization_code(self, code: str, _client: Any) -> Code | None:
                return provider.codes.get(code)

            def delete_authorization_code(self, code: Code) -> None:
                provider.codes = {key: kept for key, kept in provider.codes.items() if kept is not code}

            def authenticate_user(self, _code: Code) -> dict[str, Any]:
                return provider.person

        class Tokens(OpenIDCode):  # type: ignore[misc]
            def resolve_client_private_key(self, _client: Any) -> Any:
                return SECRET if provider.algorithm.startswith("HS") else provider.key

            def get_client_algorithm(self, _client: Any) -> str:
                return provider.algorithm

            def get_encode_header(self, _client: Any) -> dict[str, str]:
                return {"alg": provider.algorithm, "kid": str(provider.key.kid)}

            def get_client_claims(self, client: Any) -> dict[str, Any]:
                return {"iss": provider.issuer, "aud": [client.get_client_id()]}

            def exists_nonce(self, _nonce: str, _request: Any) -> bool:
                return False

            def generate_user_info(self, user: dict[str, Any], _scope: str) -> dict[str, Any]:
                return user | provider.claims

        server.register_grant(Grant, [CodeChallenge(required=True), Tokens(require_nonce=True)])

        @app.get("/.well-known/openid-configuration")
        def configuration() -> Any:
            return jsonify({
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
            } | self.about)  # fmt: skip

        @app.get("/keys")
        def keys() -> Any:
            return jsonify(KeySet(self.published).as_dict())

        @app.get("/authorize")
        def authorize() -> Any:
            self.seen.append(dict(request.args))
            grant = server.get_consent_grant(end_user=self.person)
            return server.create_authorization_response(grant_user=self.person, grant=grant)

        @app.post("/token")
        def token() -> Any:
            self.seen.append(dict(request.form))
            return server.create_token_response()

        return app


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        pass


def code_of(location: str) -> str:
    """The path and query by which the provider sends a browser back."""
    parts = urlsplit(location)
    return f"{parts.path}?{parts.query}"


@functools.cache
def _key(name: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": name})


def new_key() -> RSAKey:
    return _key("two")
