"""The OPC UA server under the sink: who may connect, and an address space that nobody but the bridge changes.

asyncua runs in a loop of its own thread. OPC 10000-4, 5.6 (sessions) and 7.41 (user identity tokens).
"""

from __future__ import annotations

import hmac
import logging
import socket
from collections.abc import Coroutine, Iterable
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from quaver import __version__
from quaver.bridge.spec import OpcUa
from quaver.errors import BridgeError
from quaver.files.private import read_private, write_private

try:
    from asyncua import Server
    from asyncua import ua as ua
    from asyncua.common.utils import ServiceError
    from asyncua.crypto import cert_gen
    from asyncua.crypto.permission_rules import USER_TYPES, SimpleRoleRuleset, User, UserRole
    from asyncua.crypto.security_policies import SecurityPolicyNone
    from asyncua.server.internal_session import InternalSession
    from asyncua.sync import ThreadLoop
except ImportError as error:
    raise BridgeError("[opcua] needs asyncua: pip install 'quaver[opcua]'") from error

# Without a handler of its own, Python prints each refusal of a client to the terminal.
logging.getLogger("asyncua").addHandler(logging.NullHandler())

APPLICATION = "urn:quaver:bridge"
_FILE_MAX = 65536
# What is kept for a client that does not fetch it; asyncua's own are 10,000, 5,000 and 1,000.
_VALUES_MAX, _MESSAGES_MAX, _SUBSCRIPTIONS_MAX = 1000, 100, 200
_DAYS = 3650  # of a certificate of our own: nobody is there to renew it
_READERS = [
    kind
    for kind in USER_TYPES
    if kind
    not in (
        ua.ObjectIds.WriteRequest_Encoding_DefaultBinary,
        ua.ObjectIds.HistoryReadRequest_Encoding_DefaultBinary,
    )
]

_NOBODY = User(UserRole.Anonymous)

_T = TypeVar("_T")


class _ReadOnly(SimpleRoleRuleset):  # type: ignore[misc]
    """Whoever is logged in may read, browse and subscribe; nobody else may do anything."""

    def __init__(self) -> None:
        super().__init__()
        self._permission_dict: dict[Any, set[Any]] = {role: set() for role in UserRole}
        self._permission_dict[UserRole.User] = {ua.NodeId(kind) for kind in _READERS}


class _Doorkeeper:
    """Lets in by password, by a known certificate, or anybody where the file says so."""

    def __init__(self, spec: OpcUa) -> None:
        self._users = _users(spec.users_file) if spec.users_file else {}
        self._clients = _certificates(spec.clients) if spec.clients else {}
        self._anybody = spec.anonymous

    def get_user(
        self, _server: Any, username: str | None = None, password: str | None = None, certificate: bytes | None = None
    ) -> User | None:
        """certificate: of the client's channel or of the user, in DER; whose key it has is proven by then.

        One that is known is taken within its own dates alone (OPC 10000-4, 6.1.3).
        """
        if username is not None:
            # An unknown user costs the same comparison.
            known = self._users.get(username)
            right = hmac.compare_digest((known or "").encode(), (password or "").encode())
            return User(UserRole.User, username) if known and right else None
        if self._anybody:
            return User(UserRole.User)
        known_as = None if certificate is None else self._clients.get(certificate)
        if known_as is None:
            return None
        if not known_as.not_valid_before_utc <= datetime.now(UTC) <= known_as.not_valid_after_utc:
            raise ServiceError(ua.StatusCodes.BadCertificateTimeInvalid)
        return User(UserRole.User)


class _EncryptedSession(InternalSession):  # type: ignore[misc]
    """A session of an encrypted channel alone.

    asyncua opens a channel without security whatever policies are set, so that clients find the endpoints, and asks
    nothing of what is sent on it.
    """

    def activate_session(self, params: Any, peer_certificate: bytes | None) -> Any:
        if not peer_certificate:
            raise ServiceError(ua.StatusCodes.BadSecurityPolicyRejected)
        return super().activate_session(params, peer_certificate)


class OpcUaServer:
    """state: the file beside which the key and the certificate are made where the table names none."""

    def __init__(self, spec: OpcUa, state: Path) -> None:
        self._spec = spec
        self._doorkeeper = _Doorkeeper(spec)
        self._key, self._certificate = _own(spec, state)
        self._loop = ThreadLoop(timeout=None)
        self.server = Server(user_manager=self._doorkeeper)
        self.namespace = 0

    def do(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Have the server's thread do it."""
        found: _T = self._loop.post(work)
        return found

    def start(self) -> None:
        """Raises BridgeError where the address can't be used."""
        host, _, port = self._spec.listen.rpartition(":")
        try:
            # Seconds before the address space is made.
            socket.create_server(
                (host.strip("[]"), int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET
            ).close()
            self._loop.start()
            self.do(self._start())
        except OSError as error:
            if self._loop.is_alive():
                self._loop.stop()  # its thread would keep the program
            raise BridgeError(
                f"opcua.listen: {self._spec.listen}: {error.strerror or error}; name another address:port"
            ) from error

    async def _start(self) -> None:
        server, spec = self.server, self._spec
        server.name = "Quaver bridge"
        server.manufacturer_name = "Quaver"
        server.product_uri = "urn:quaver"
        server.application_type = ua.ApplicationType.Server
        server._application_uri = APPLICATION  # of the certificate too; init makes it namespace 1
        await server.init()
        await server.set_build_info(
            server.product_uri, "Quaver", server.name, __version__, "", self._certificate.not_valid_before_utc
        )
        server.set_endpoint(f"opc.tcp://{spec.listen}")
        service = server.iserver
        service.max_monitored_item_queue_size = _VALUES_MAX
        service.max_unacked_messages_per_subscription = _MESSAGES_MAX
        service.max_subscriptions = _SUBSCRIPTIONS_MAX
        service.certificate, service.private_key = self._certificate, self._key
        policies = [ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt]
        if spec.plain:
            policies.append(ua.SecurityPolicyType.NoSecurity)
        else:
            service.create_session = lambda name, user=_NOBODY, external=False: _EncryptedSession(
                service, service.aspace, service.subscription_service, name, user=user, external=external
            )
        server.set_security_policy(policies, permission_ruleset=_ReadOnly())
        tokens: list[type] = [ua.UserNameIdentityToken] if spec.users_file else []
        if spec.clients:
            tokens.append(ua.X509IdentityToken)
        if spec.clients or spec.anonymous:
            tokens.append(ua.AnonymousIdentityToken)
        server.set_identity_tokens(tokens)
        # Other servers are registered here without a login: this is no discovery server.
        server.iserver.register_server = _refuse
        server.iserver.register_server2 = _refuse
        self.namespace = await server.register_namespace("urn:quaver:nodes")
        await server.start()
        for policy in server._policies:
            if policy.cls is SecurityPolicyNone:  # there a certificate is a claim that nobody has checked
                policy.create = lambda _claimed, make=policy.create: make(None)

    def close(self) -> None:
        if self._loop.is_alive():
            try:
                self.do(self.server.stop())
            finally:
                self._loop.stop()


def _refuse(*_: Any) -> None:
    raise ua.uaerrors.BadServiceUnsupported


def _users(path: Path) -> dict[str, str]:
    data = read_private(path, _FILE_MAX, BridgeError)
    if data is None:
        raise BridgeError(f"{path}: there is no such file; write a line user:password for each user, and chmod 600")
    found = {}
    for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
        if line.strip():
            user, _, password = line.strip().partition(":")
            if not user or not password:
                raise BridgeError(f"{path}: line {number}: expected user:password")
            found[user] = password
    if not found:
        raise BridgeError(f"{path}: has no user; write a line user:password for each")
    return found


def _certificate(path: Path) -> x509.Certificate:
    try:
        data = path.read_bytes()[:_FILE_MAX]
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificate(data)
        return x509.load_der_x509_certificate(data)
    except OSError as error:
        raise BridgeError(f"{path}: can't be read ({error.strerror}); name an X.509 certificate") from error
    except ValueError as error:
        raise BridgeError(f"{path}: is no X.509 certificate in PEM or DER") from error


def _certificates(folder: Path) -> dict[bytes, x509.Certificate]:
    """By their DER."""
    if not folder.is_dir():
        raise BridgeError(f"{folder}: is no folder; make it, and put the certificates of the clients into it")
    files: Iterable[Path] = sorted(one for one in folder.iterdir() if one.is_file() and not one.name.startswith("."))
    found = {made.public_bytes(Encoding.DER): made for made in map(_certificate, files)}
    if not found:
        raise BridgeError(f"{folder}: has no certificate; put those of the clients into it, in PEM or DER")
    return found


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _own(spec: OpcUa, state: Path) -> tuple[Any, x509.Certificate]:
    """The server's key and certificate. Those of ours are made once, and stay: clients come to trust them."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509.oid import ExtendedKeyUsageOID

    certificate = spec.certificate or state.with_name(f"{state.stem}-opcua.der")
    key_file = spec.key_file or state.with_name(f"{state.stem}-opcua.pem")
    if not spec.certificate and not key_file.exists():
        key = cert_gen.generate_private_key()
        names = [x509.UniformResourceIdentifier(APPLICATION), _name(spec.listen.rpartition(":")[0].strip("[]"))]
        made = cert_gen.generate_self_signed_app_certificate(
            key, "Quaver bridge", {}, names, [ExtendedKeyUsageOID.SERVER_AUTH], days=_DAYS
        )
        write_private(certificate, made.public_bytes(Encoding.DER), BridgeError)
        certificate.chmod(0o644)  # clients are given it
        write_private(key_file, cert_gen.dump_private_key_as_pem(key), BridgeError)
    data = read_private(key_file, _FILE_MAX, BridgeError)
    if data is None:
        raise BridgeError(f"{key_file}: there is no such file; it has the key of {certificate.name}")
    try:
        key = load_pem_private_key(data, None)
    except (ValueError, TypeError) as error:
        raise BridgeError(f"{key_file}: is no private key in PEM without a password") from error
    found = _certificate(certificate)
    if key.public_key() != found.public_key():
        raise BridgeError(f"{key_file}: is not the key of {certificate.name}; name the two that belong together")
    return key, found
