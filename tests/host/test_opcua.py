"""The bridge as an OPC UA server: a client of others reads values, states and alarms, and may do nothing else."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partialmethod
from pathlib import Path
from shelve import Shelf
from types import SimpleNamespace
from typing import Any

import pytest
from asyncua import Client, Server, ua
from asyncua.crypto.cert_gen import dump_private_key_as_pem, generate_private_key, generate_self_signed_app_certificate
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256, SecurityPolicyNone
from asyncua.server import address_space
from asyncua.server.address_space import AddressSpace, NodeManagementService
from asyncua.server.standard_address_space.standard_address_space import fill_address_space
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from fleet import Node
from test_bridge import ENERGIES, NOW_MS
from test_ingest import Bench

from quaver.bridge import opcua
from quaver.bridge.opcua import UNITS, OpcUaNodes
from quaver.bridge.run import Bridge
from quaver.bridge.spec import read_bridge
from quaver.cli import main
from quaver.messages.quantities import QUANTITIES
from quaver.query import source
from quaver_wire.fields import EVENTS, QUALITY
from tests.waiting import PATIENCE_S, wait_until

NODE = "plant/hall/line-2/pump/pump-7"
HOUR_MS = 3_600_000
LOGIN = {"user": "scada", "password": "right"}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record of the start of a test is one of now, however long the test takes."""
    monkeypatch.setattr(source, "HISTORICAL_MS", HOUR_MS)
    monkeypatch.setattr(opcua, "_MISSED", 1000)


def write(bench: Bench, **keys: Any) -> Path:
    path = bench.path.parent / "bridge.toml"
    users = bench.path.parent / "opcua.users"
    users.write_text("scada:right\nother:word:with:colons\n")
    users.chmod(0o600)
    keys = {"listen": "127.0.0.1:0", "users_file": "opcua.users"} | keys
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items() if value is not None)
    path.write_text(f'store = "{bench.path}"\nbegin = "first"\n[opcua]\n{lines}')
    return path


@pytest.fixture(autouse=True, scope="module")
def standard_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """asyncua takes a second to make the standard's 6,000 nodes, or reads them from the shelf that another server made:
    here for all servers, and in memory, for Python's own files for shelves are slower still."""
    kept: dict[bytes, bytes] = {}
    shelf = tmp_path_factory.mktemp("opcua") / "nodes"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(address_space, "shelve", SimpleNamespace(open=lambda *_, **__: Shelf(kept)))
        made = AddressSpace()
        fill_address_space(NodeManagementService(made))
        made.make_aspace_shelf(shelf)
        shelf.touch()
        patch.setattr(Server, "init", partialmethod(Server.init, shelf))
        yield


@contextmanager
def running(path: Path) -> Iterator[str]:
    """The bridge of a file while it runs, and where its server listens."""
    spec = read_bridge(path)
    assert spec.opcua is not None
    sink = OpcUaNodes(spec.opcua, spec.store, spec.state)
    bridge = Bridge(spec.store, spec.state, [sink], lambda line: None, begin_now=False)
    bridge.start()
    try:
        wait_until(lambda: bridge.progress[0].up or bridge.failed, what="the server")
        assert bridge.failed is None
        port = sink._server.server.bserver._server.sockets[0].getsockname()[1]
        yield f"opc.tcp://127.0.0.1:{port}"
    finally:
        bridge.stop()


def identity(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate and its key, of a client's own making."""
    folder.mkdir(exist_ok=True)
    key = generate_private_key()
    alternatives = [x509.UniformResourceIdentifier("urn:freeopcua:client")]
    made = generate_self_signed_app_certificate(
        key, name, {}, alternatives, [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH], days=2
    )
    certificate, key_file = folder / f"{name}.der", folder / f"{name}.pem"
    certificate.write_bytes(made.public_bytes(Encoding.DER))
    key_file.write_bytes(dump_private_key_as_pem(key))
    return certificate, key_file


def dated(own: tuple[Path, Path], path: Path, begin_days: int, end_days: int) -> Path:
    """Another certificate of the same key, at `path`, with dates in days from now."""
    certificate, key_file = own
    first = x509.load_der_x509_certificate(certificate.read_bytes())
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(
        first.issuer, first.subject, first.public_key(), x509.random_serial_number(),
        now + timedelta(begin_days), now + timedelta(end_days), list(first.extensions),
    )  # fmt: skip
    key: Any = load_pem_private_key(key_file.read_bytes(), None)
    path.write_bytes(made.sign(key, SHA256()).public_bytes(Encoding.DER))
    return path


def with_client(
    url: str,
    work: Callable[[Client], Awaitable[Any]],
    user: str | None = None,
    password: str | None = None,
    own: tuple[Path, Path] | None = None,
    server: Path | None = None,
    person: tuple[Path, Path] | None = None,
) -> Any:
    """What `work` returns with a connected client; own: its certificate and key, for an encrypted channel.

    person: those of its user, who logs in with them (X509IdentityToken).
    """

    async def connected() -> Any:
        client = Client(url, timeout=PATIENCE_S)
        if user is not None:
            client.set_user(user)
            client.set_password(password or "")
        if own is not None:
            await client.set_security(SecurityPolicyBasic256Sha256, *map(str, own), server_certificate=str(server))
        if person is not None:
            await client.load_client_certificate(str(person[0]))
            await client.load_private_key(str(person[1]))
        async with client:
            return await work(client)

    return asyncio.run(connected())


async def unencrypted(url: str, claimed: Path | None = None) -> None:
    """Log in on a channel without security, whatever the endpoints say; or claim another's certificate there."""
    client = Client(url, timeout=PATIENCE_S)
    token: Any = ua.UserNameIdentityToken(PolicyId="username", UserName="scada", Password=b"right")
    if claimed is not None:
        certificate = x509.load_der_x509_certificate(claimed.read_bytes())
        # asyncua's client sends its certificate with any other mode than none alone
        client.uaclient.security_policy = SecurityPolicyNone(host_cert=certificate, mode=ua.MessageSecurityMode.Sign)
        token = ua.AnonymousIdentityToken(PolicyId="anonymous")
    await client.connect_socket()
    try:
        await client.send_hello()
        await client.open_secure_channel()
        await client.uaclient.create_session(ua.CreateSessionParameters(EndpointUrl=url, RequestedSessionTimeout=60000))
        await client.uaclient.activate_session(ua.ActivateSessionParameters(UserIdentityToken=token))
    finally:
        client.disconnect_socket()


async def read(client: Client, name: str) -> ua.DataValue:
    namespace = await client.get_namespace_index("urn:quaver:nodes")
    node = client.get_node(ua.NodeId(f"{NODE}/{name}", namespace))
    return await node.read_data_value(raise_on_bad_status=False)


def reads(url: str, *names: str) -> list[ua.DataValue]:
    async def work(client: Client) -> list[ua.DataValue]:
        return [await read(client, name) for name in names]

    found: list[ua.DataValue] = with_client(url, work, **LOGIN)
    return found


def statuses(url: str, *names: str) -> list[str]:
    return [one.StatusCode.name for one in reads(url, *names)]


def test_a_client_reads_values_with_units_times_and_states(bench: Bench, pump: Node) -> None:
    bench.take(
        pump.says("status"),
        pump.says(rms_g=0.5, temperature_c=41.5, energy=ENERGIES, level=2, zone=1, time_ms=NOW_MS),
        now=NOW_MS,
    )

    async def work(client: Client) -> None:
        namespace = await client.get_namespace_index("urn:quaver:nodes")
        path = [f"{namespace}:{level}" for level in NODE.split("/")]
        pump_7 = await client.nodes.objects.get_child(path)
        names = {(await one.read_browse_name()).Name for one in await pump_7.get_children()}
        assert {"rms_g", "temperature_c", "energy.power_w", "level", "zone", "online", "firmware"} <= names
        temperature = await pump_7.get_child(f"{namespace}:temperature_c")
        value = await temperature.read_data_value()
        assert value.Value.Value == 41.5 and value.StatusCode.is_good()
        assert value.SourceTimestamp.timestamp() * 1000 == pytest.approx(NOW_MS, abs=1)
        unit = await (await temperature.get_child("0:EngineeringUnits")).read_value()
        assert (unit.UnitId, unit.DisplayName.Text, unit.NamespaceUri) == (4408652, "°C", opcua.UNECE)
        assert await temperature.read_type_definition() == ua.NodeId(ua.ObjectIds.AnalogUnitType)
        level = await pump_7.get_child(f"{namespace}:level")
        words = await (await level.get_child("0:EnumStrings")).read_value()
        assert words[await level.read_value()].Text == "alarm"
        assert (await read(client, "online")).Value.Value is True

    with running(write(bench, plain=True)) as url:
        with_client(url, work, **LOGIN)
        with pytest.raises(ua.uaerrors.BadIdentityTokenRejected):
            with_client(url, work)  # anonymous


def test_who_is_subscribed_hears_of_every_value_and_of_its_end(bench: Bench, pump: Node) -> None:
    """Of a backlog of the last alone; and of what is gone."""
    bench.take(pump.says("status"), pump.says(rms_g=0.5, temperature_c=41.5, time_ms=NOW_MS), now=NOW_MS)
    heard: list[tuple[str, Any, str]] = []

    class Handler:
        def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
            status = data.monitored_item.Value.StatusCode.name
            heard.append(
                (node.nodeid.Identifier.rpartition("/")[2], None if value is None else round(value, 3), status)
            )

    def told(name: str) -> list[Any]:
        return [value for one, value, _ in heard if one == name]

    async def until(condition: Callable[[], bool]) -> None:
        for _ in range(int(PATIENCE_S / 0.05)):
            if condition():
                return
            await asyncio.sleep(0.05)
        raise AssertionError(heard)

    async def work(client: Client) -> None:
        namespace = await client.get_namespace_index("urn:quaver:nodes")
        subscription = await client.create_subscription(50, Handler())
        for name in ("rms_g", "temperature_c", "online"):
            await subscription.subscribe_data_change(client.get_node(ua.NodeId(f"{NODE}/{name}", namespace)))
        await until(lambda: len(heard) == 3)  # what they are
        bench.take(*(pump.says(rms_g=n / 10, time_ms=NOW_MS + n) for n in range(1, 4)), now=NOW_MS)
        await until(lambda: told("rms_g")[-1] == 0.3)
        old = NOW_MS - 3 * HOUR_MS
        bench.take(*(pump.says(rms_g=1 + n / 10, time_ms=old + n) for n in range(5)), now=NOW_MS)
        await until(lambda: told("rms_g")[-1] == 1.4)
        bench.take(pump.says("status", state=0), now=NOW_MS)
        await until(lambda: told("online")[-1] == 0)

    with running(write(bench, plain=True)) as url:
        with_client(url, work, **LOGIN)
    assert told("rms_g") == [0.5, 0.1, 0.2, 0.3, 1.4, None] and told("temperature_c") == [41.5, None]
    assert told("online") == [1, 0]
    assert [status for name, _, status in heard if name == "rms_g"] == ["Good"] * 5 + ["BadNoCommunication"]


def test_a_client_that_fetches_nothing_holds_up_nobody_and_has_a_bounded_queue(bench: Bench, pump: Node) -> None:
    bench.take(pump.says("status"), pump.says(rms_g=0.5, time_ms=NOW_MS), now=NOW_MS)

    async def silent(client: Client) -> None:
        subscription = await client.create_subscription(10, object())
        namespace = await client.get_namespace_index("urn:quaver:nodes")
        item = ua.MonitoredItemCreateRequest(
            ua.ReadValueId(ua.NodeId(f"{NODE}/rms_g", namespace), ua.AttributeIds.Value),
            ua.MonitoringMode.Reporting,
            ua.MonitoringParameters(ClientHandle=1, QueueSize=0),  # without end
        )
        wanted = ua.CreateMonitoredItemsParameters(subscription.subscription_id, ua.TimestampsToReturn.Both, [item])
        (made,) = await client.uaclient.create_monitored_items(wanted)
        assert made.StatusCode.is_good() and made.RevisedQueueSize == 1000
        client.uaclient._publish_task.cancel()
        bench.take(*(pump.says(rms_g=0.001 * n, time_ms=NOW_MS + n) for n in range(1, 1501)), now=NOW_MS)
        async with asyncio.timeout(PATIENCE_S):
            while (await read(client, "rms_g")).Value.Value != pytest.approx(1.5):
                await asyncio.sleep(0.01)

    with running(write(bench, plain=True)) as url:
        with_client(url, silent, **LOGIN)


def test_what_is_said_by_records_of_many_shapes_is_all_shown(bench: Bench, pump: Node) -> None:
    """Each record has other fields than the next; and none of them was read before the last had come."""
    own = {"oil_pressure": [4.0, "bar"], "turbidity": [0.5, "[NTU]"]}
    bench.take(pump.says("status"), pump.says(rms_g=0.5, time_ms=NOW_MS, quantities=own), now=NOW_MS)
    failed = 1 << QUALITY.index("temperature_failed")
    with running(write(bench, plain=True)) as url:
        bench.take(
            pump.says(temperature_c=41.5, crest=4.0, time_ms=NOW_MS + 1),
            pump.says(crest=5.0, quality=failed, time_ms=NOW_MS + 2),
            pump.says(energy=ENERGIES, time_ms=NOW_MS + 3),
            pump.says(rms_g=0.7, time_ms=NOW_MS + 5),
            pump.says(rms_g=0.6, time_ms=NOW_MS + 4),
            now=NOW_MS,
        )
        wait_until(lambda: reads(url, "rms_g")[0].Value.Value != 0.5, what="what came last")
        values = [one.Value.Value for one in reads(url, "rms_g", "temperature_c", "crest", "energy.power_w")]
        assert values == [pytest.approx(0.6), None, 5.0, 300.0]
        assert statuses(url, "temperature_c", "crest") == ["BadSensorFailure", "Good"]
        assert [one.Value.Value for one in reads(url, *(f"quantities.{name}" for name in own))] == [4.0, 0.5]

        async def units(client: Client) -> list[Any]:
            namespace = await client.get_namespace_index("urn:quaver:nodes")
            names = (f"{NODE}/quantities.{name}/EngineeringUnits" for name in own)
            return [await client.get_node(ua.NodeId(name, namespace)).read_value() for name in names]

        bar, ntu = with_client(url, units, **LOGIN)
        assert (bar.UnitId, bar.DisplayName.Text, bar.NamespaceUri) == (4342098, "bar", opcua.UNECE)
        assert (ntu.UnitId, ntu.DisplayName.Text, ntu.NamespaceUri) == (-1, "[NTU]", "http://unitsofmeasure.org")


def test_every_unit_has_its_common_code() -> None:
    assert {quantity.ucum for quantity in QUANTITIES.values()} <= set(UNITS)
    # Known from the OPC Foundation's table of UN/CEFACT's codes.
    numbers = {"Cel": 4408652, "[g]": 4928560, "mm/s": 4403510, "Hz": 4740186}
    assert {ucum: opcua.unit_of(ucum).UnitId for ucum in numbers} == numbers


def test_what_is_not_sure_is_uncertain_and_what_is_gone_is_bad(bench: Bench, pump: Node) -> None:
    clipped, failed = 1 << QUALITY.index("clipped"), 1 << QUALITY.index("temperature_failed")
    bench.take(pump.says("status"), pump.says(rms_g=0.5, temperature_c=41.5, shaft_hz=24.0, shaft_confidence=0.3,
               quality=clipped, time_ms=NOW_MS), now=NOW_MS)  # fmt: skip
    with running(write(bench, plain=True)) as url:
        names = ("rms_g", "temperature_c", "shaft_hz", "level")
        doubt = "UncertainSensorNotAccurate"
        assert statuses(url, *names) == [doubt, "Good", doubt, doubt]
        bench.take(pump.says(rms_g=0.6, quality=failed, time_ms=NOW_MS + 1000), now=NOW_MS)
        wait_until(lambda: statuses(url, "rms_g", "temperature_c") == ["Good", "BadSensorFailure"], what="the failure")
        bench.take(pump.says("status", state=0), now=NOW_MS)
        wait_until(lambda: set(statuses(url, *names)) == {"BadNoCommunication"}, what="that it is gone")
        assert reads(url, "online")[0].Value.Value is False and reads(url, "rms_g")[0].Value.Value is None
        bench.take(pump.says("status"), pump.says(rms_g=0.7, temperature_c=40.0, time_ms=NOW_MS + 2000), now=NOW_MS)
        wait_until(lambda: statuses(url, "rms_g", "temperature_c") == ["Good", "Good"], what="that it is back")
        assert reads(url, "rms_g")[0].Value.Value == pytest.approx(0.7)


def test_a_value_that_missed_its_successors_is_old(bench: Bench, pump: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read by anybody, where the file says so."""
    monkeypatch.setattr(opcua, "_MISSED", 3)
    long_ago = NOW_MS - 10 * HOUR_MS
    bench.take(pump.says("status"), pump.says(rms_g=0.5, time_ms=long_ago), now=long_ago)

    async def look(client: Client) -> ua.DataValue:
        return await read(client, "rms_g")

    async def change(client: Client) -> None:
        namespace = await client.get_namespace_index("urn:quaver:nodes")
        await client.get_node(ua.NodeId(f"{NODE}/rms_g", namespace)).write_value(9.9)

    with running(write(bench, plain=True, anonymous=True, users_file=None)) as url:
        value = with_client(url, look)
        with pytest.raises((ua.UaError, ConnectionError)):
            with_client(url, change)
        backlog = [pump.says(rms_g=0.01 * n, time_ms=long_ago + 60_000 * n) for n in range(60)]
        bench.take(*backlog, now=NOW_MS)  # what has waited shows as the last of it, and as old
        wait_until(lambda: with_client(url, look).Value.Value == pytest.approx(0.59), what="the backlog's end")
        assert with_client(url, look).StatusCode.name == "UncertainLastUsableValue"
        assert value.StatusCode.name == "UncertainLastUsableValue" and value.Value.Value == pytest.approx(0.5)
        assert value.SourceTimestamp.timestamp() * 1000 == pytest.approx(long_ago, abs=1)


def test_a_record_that_this_version_can_not_read_ends_nothing(bench: Bench, pump: Node) -> None:
    bench.take(pump.says(rms_g=0.5, time_ms=NOW_MS), now=NOW_MS)
    with source.Source(bench.path) as found:
        (reading,) = found.after(source.Place(), 1)
    odd = replace(reading, values={"quality": 3, "shaft_confidence": "high", "level": 7, "rms_g": "much", "crest": 2.0})
    shown = opcua.values_of(odd)
    assert shown["crest"].value == 2.0 and shown["quality"].value == "3" and "rms_g" not in shown
    assert opcua._data("level", shown["level"], shown["level"].status).StatusCode.name == "BadOutOfRange"


def test_what_a_sensor_never_measured_has_not_failed(bench: Bench, pump: Node) -> None:
    failed = sum(1 << QUALITY.index(f"{name}_failed") for name in ("temperature", "energy", "current"))
    rare = {"humidity_pct": 43.0, "phases": [230.0] * 3 + [4.0, None, 4.0] + [800.0] * 3}
    rare |= {"current_a": 8.0, "line_hz": 50.0, "sidebands": [3.0, -45.0, -70.0]}
    bench.take(pump.says(quality=failed), pump.says(**rare), pump.says(quality=failed), now=NOW_MS)
    with source.Source(bench.path) as found:
        readings = found.after(source.Place(), 3)
    device = opcua._Device("works/hall/line-1/pump/pump-7")
    shown = []
    for reading in readings:
        device.take(reading)
        device.settle()
        shown.append({name: device.data(name).StatusCode.name for name in device.shown if name in opcua._RARE})
    assert shown[0] == {}
    assert shown[1] == dict.fromkeys(opcua._RARE - {"phases.l2_current_a"}, "Good")
    assert shown[2] == dict.fromkeys(shown[1], "BadSensorFailure")


def test_alarms_are_events_in_words(bench: Bench, pump: Node) -> None:
    bench.take(pump.says("status"), pump.says(time_ms=NOW_MS), now=NOW_MS)
    heard: list[Any] = []

    class Handler:
        def event_notification(self, event: Any) -> None:
            heard.append(event)

    async def work(client: Client) -> None:
        namespace = await client.get_namespace_index("urn:quaver:nodes")
        subscription = await client.create_subscription(50, Handler())
        for place in (ua.ObjectIds.Server, ua.NodeId("plant/hall", namespace)):
            await subscription.subscribe_events(place)
        level = EVENTS.index("level")
        bench.take(
            pump.says("event", code=level, event_level=2, subject="rms", value=0.5, limit=0.4, time_ms=NOW_MS + 1),
            pump.says("event", code=level, event_level=0, subject="rms", value=0.3, limit=0.4, time_ms=NOW_MS + 2),
            pump.says("status", state=0),
            now=NOW_MS,
        )
        for _ in range(int(PATIENCE_S / 0.05)):
            if len(heard) == 6:
                break
            await asyncio.sleep(0.05)

    with running(write(bench, plain=True)) as url:
        with_client(url, work, **LOGIN)
    assert len(heard) == 6  # each at the server, and at the folder
    told = {event.EventId: event for event in heard}
    assert len(told) == 3
    alarm, over, gone = told.values()
    assert (alarm.Severity, over.Severity, gone.Severity) == (900, 100, 500)
    assert alarm.Message.Text == "pump-7: alarm: The vibration level has risen, 0.5 g, limit 0.4 g"
    assert over.Message.Text == "pump-7: ok: rms is back at ok, 0.3, limit 0.4"
    assert gone.Message.Text == "pump-7: is offline"
    assert alarm.SourceName == "pump-7" and alarm.Time.timestamp() * 1000 == pytest.approx(NOW_MS + 1, abs=1)


def test_nobody_writes_and_nobody_comes_in_without_a_login(bench: Bench, pump: Node, tmp_path: Path) -> None:
    bench.take(pump.says("status"), pump.says(rms_g=0.5, time_ms=NOW_MS), now=NOW_MS)

    async def look(client: Client) -> None:
        await read(client, "rms_g")

    async def change(client: Client) -> None:
        namespace = await client.get_namespace_index("urn:quaver:nodes")
        await client.get_node(ua.NodeId(f"{NODE}/rms_g", namespace)).write_value(9.9)

    async def add(client: Client) -> None:
        await client.nodes.objects.add_folder(2, "mine")

    known, key = identity(tmp_path / "clients", "known")
    key.rename(tmp_path / "known.pem")
    with running(write(bench, plain=True, clients="clients")) as url:
        for work in (change, add):
            with pytest.raises((ua.UaError, ConnectionError)):
                with_client(url, work, **LOGIN)
        with pytest.raises(ua.uaerrors.BadUserAccessDenied):
            with_client(url, look, "scada", "wrong")
        with pytest.raises(ua.uaerrors.BadUserAccessDenied):
            with_client(url, look, "nobody", "right")
        with pytest.raises(ua.UaError):  # anonymous
            with_client(url, look)
        with_client(url, look, "other", "word:with:colons")
        asyncio.run(unencrypted(url))
        with pytest.raises(ua.uaerrors.BadUserAccessDenied):
            asyncio.run(unencrypted(url, known))
        assert reads(url, "rms_g")[0].Value.Value == pytest.approx(0.5)


def test_without_plain_there_is_an_encrypted_endpoint_alone(bench: Bench, pump: Node, tmp_path: Path) -> None:
    bench.take(pump.says("status"), pump.says(rms_g=0.5, time_ms=NOW_MS), now=NOW_MS)
    known, stranger = identity(tmp_path / "clients", "known"), identity(tmp_path / "strangers", "stranger")
    known[1].rename(tmp_path / "known.pem")
    known = known[0], tmp_path / "known.pem"

    async def look(client: Client) -> float:
        return float((await read(client, "rms_g")).Value.Value)

    with running(write(bench, clients="clients")) as url:
        server = tmp_path / "bridge-opcua.der"
        assert (tmp_path / "bridge-opcua.pem").stat().st_mode & 0o777 == 0o600
        with pytest.raises((ua.UaError, ConnectionError, TimeoutError)):
            with_client(url, look, **LOGIN)
        with pytest.raises(ua.uaerrors.BadSecurityPolicyRejected):
            asyncio.run(unencrypted(url))
        assert with_client(url, look, own=known, server=server) == pytest.approx(0.5)
        assert with_client(url, look, own=stranger, server=server, **LOGIN) == pytest.approx(0.5)
        with pytest.raises(ua.uaerrors.BadUserAccessDenied):
            with_client(url, look, own=stranger, server=server)
        with pytest.raises(ua.uaerrors.BadUserAccessDenied):
            with_client(url, look, "scada", "wrong", own=known, server=server)
    made = server.read_bytes()
    spec = read_bridge(write(bench, clients="clients"))
    assert spec.opcua is not None
    OpcUaNodes(spec.opcua, spec.store, spec.state)
    assert server.read_bytes() == made  # who trusts it goes on trusting it


def test_a_user_logs_in_with_a_certificate_that_is_known_and_within_its_dates(
    bench: Bench, pump: Node, tmp_path: Path
) -> None:
    bench.take(pump.says("status"), pump.says(rms_g=0.5, time_ms=NOW_MS), now=NOW_MS)
    anna = identity(tmp_path / "clients", "anna")
    keys = {"anna": (anna[0], anna[1].rename(tmp_path / "anna.pem"))}
    for name, begin, end in (("gone", -30, -1), ("early", 1, 30)):
        keys[name] = dated(keys["anna"], tmp_path / "clients" / f"{name}.der", begin, end), keys["anna"][1]
    machine, stranger = (identity(tmp_path / "strangers", name) for name in ("machine", "stranger"))

    async def look(client: Client) -> float:
        return float((await read(client, "rms_g")).Value.Value)

    with running(write(bench, users_file=None, clients="clients")) as url:
        channel: Any = {"own": machine, "server": tmp_path / "bridge-opcua.der"}
        assert with_client(url, look, person=keys["anna"], **channel) == pytest.approx(0.5)
        for person, error in (
            (stranger, ua.uaerrors.BadUserAccessDenied),
            ((keys["anna"][0], stranger[1]), ua.uaerrors.BadIdentityTokenInvalid),  # who has not the key
            (keys["gone"], ua.uaerrors.BadCertificateTimeInvalid),
            (keys["early"], ua.uaerrors.BadCertificateTimeInvalid),
        ):
            with pytest.raises(error):
                with_client(url, look, person=person, **channel)
        with pytest.raises(ua.uaerrors.BadCertificateTimeInvalid):  # of a client, on its channel
            with_client(url, look, own=keys["gone"], server=channel["server"])


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"users_file": None}, "nobody could connect"),
        ({"users_file": "none"}, "there is no such file; write a line user:password"),
        ({"listen": "4840"}, "expected address:port"),
        ({"certificate": "own.der"}, "belong together"),
        ({"certificate": "own.der", "key_file": "own.pem"}, "there is no such file; it has the key of own.der"),
        ({"clients": "none"}, "is no folder"),
        ({"clients": "odd"}, "is no X.509 certificate"),
        ({"listen": "192.0.2.1:4840"}, "name another address:port"),
        ({"speed": 3}, "opcua.speed"),
    ],
)
def test_a_wrong_table_is_refused_in_a_line(
    keys: dict[str, Any], words: str, bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "note.txt").write_text("no certificate")
    assert main(["bridge", "run", str(write(bench, **keys)), "--until-done"]) == 26
    said = capsys.readouterr().err.splitlines()[-1:]
    assert words in said[0], said


def test_without_the_library_one_line_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("quaver.bridge.opcua", "quaver.bridge.opcua_server"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "asyncua", None)
    assert main(["bridge", "run", str(write(bench)), "--until-done"]) == 26
    assert capsys.readouterr().err == "quaver: [opcua] needs asyncua: pip install 'quaver[opcua]'\n"
