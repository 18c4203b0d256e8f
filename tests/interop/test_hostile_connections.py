"""What hostile connections can do: slowly, in crowds, without reading, or under names that rules would misread."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest

from clients.hostile import MEMORY_GROWTH_KIB_MAX, bystander, ended_with, insider, stranger  # noqa: F401 (fixtures)
from clients.wire import Closed, Wire
from servers import Account


class TestConnections:
    @pytest.mark.needs("limits")
    def test_a_header_sent_byte_by_byte_runs_out_of_time(self, start_server):
        server = start_server(limits=(("unauthenticated_seconds", 2),))
        wire = Wire.plain(server)
        began = time.monotonic()
        with contextlib.suppress(OSError):
            for byte in wire.stream_header().encode() * 4:
                wire.send(bytes([byte]))
                time.sleep(0.05)
                if time.monotonic() - began > 10:
                    break
        assert 1.5 < time.monotonic() - began < 6
        server.stop()

    @pytest.mark.needs("limits")
    def test_silence_runs_out_of_time(self, start_server):
        server = start_server(limits=(("unauthenticated_seconds", 2),))
        halfway = Wire.over_starttls(server)  # TLS done, then nothing
        silent = Wire(server, server.tls_port)  # not even a TLS hello
        began = time.monotonic()
        halfway.expect_end()
        silent.expect_closed_socket()
        assert time.monotonic() - began < 6
        server.stop()

    @pytest.mark.needs("limits")
    def test_strangers_do_not_hold_up_a_stop(self, start_server):
        server = start_server()
        silent, greeted = Wire(server, server.tls_port), Wire.plain(server)
        greeted.open()
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 5
        assert greeted.expect_end() == "system-shutdown"  # RFC 6120 §4.9.3.23
        silent.expect_closed_socket()

    def test_half_open_sockets_cost_nobody_anything(self, server):
        sockets = [Wire.plain(server) for _ in range(100)]
        for wire in sockets[:50]:
            wire.send(wire.stream_header())
        began = time.monotonic()
        Wire.signed_in(server, server.account("through")).close()
        assert time.monotonic() - began < 5
        for wire in sockets:
            wire.close()

    @pytest.mark.differs("ejabberd", "turns some away")
    def test_five_hundred_at_once(self, server):
        crowd = [Wire.plain(server) for _ in range(500)]
        for wire in crowd:
            wire.send(wire.stream_header())
        for wire in crowd:
            wire.read()
        began = time.monotonic()
        Wire.signed_in(server, server.account("crowded")).close()
        assert time.monotonic() - began < 5
        for wire in crowd:
            wire.close()

    def test_a_half_closed_connection_ends(self, server, insider):
        insider.socket.shutdown(socket.SHUT_WR)
        insider.expect_closed_socket(15)

    @pytest.mark.needs("limits")
    def test_a_peer_that_never_reads_stops_nobody(self, server, bystander):
        """Events pile up for a deaf session; the sender and a third session go on at their pace; it loses the oldest."""
        deaf = Wire.signed_in(server, server.account("deaf", "operator"), present=True, receive_buffer=4096)
        sender = Wire.signed_in(server, server.account("sender"), present=True)
        reader = Wire.signed_in(server, server.account("reader", "operator"), present=True)
        node = "hostile/deaf"
        for wire in (deaf, reader):
            answer = wire.ask("set", (f"<pubsub xmlns='http://jabber.org/protocol/pubsub'><subscribe node='hostile/#' "
                                      f"jid='{wire.jid.split('/')[0]}'/></pubsub>"), server.pubsub)
            assert answer.ok, answer.condition
        before = server.memory_kib()
        count, padding = 800, "z" * 8000  # 6.4 MB: several times what a mailbox may hold
        for number in range(count):
            answer = sender.ask("set", (f"<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{node}'><item id='i{number}'>"
                                        f"<log xmlns='urn:x'>{padding}</log></item></publish></pubsub>"), server.pubsub)
            assert answer.ok, answer.condition
            reader.read_until(lambda element: element.find(".//*[@id='i%d']" % number) is not None)
        assert server.memory_kib() - before < MEMORY_GROWTH_KIB_MAX
        # It was deaf indeed, or this would prove nothing; what it hears now are the newest, in order.
        heard = []
        while not heard or heard[-1] != count - 1:
            found = deaf.read().find(".//{http://jabber.org/protocol/pubsub#event}item")
            if found is not None:
                heard.append(int(found.get("id").removeprefix("i")))
        assert heard == sorted(heard) and len(heard) < count
        for wire in (deaf, sender, reader):
            wire.close()

    def test_strangers_names_reveal_nothing_by_time(self, server):
        """A wrong password for a known name takes as long as for an unknown one (within a factor that noise allows)."""
        known = server.account("timed")
        times: dict[str, list[float]] = {known.name: [], "nobody-of-this-name": []}
        for _ in range(15):
            for name in times:
                with contextlib.closing(Wire.over_tls(server)) as wire:
                    began = time.perf_counter()
                    wire.auth("PLAIN", f"\0{name}\0wrong".encode())
                    times[name].append(time.perf_counter() - began)
        middle = {name: sorted(values)[len(values) // 2] for name, values in times.items()}
        if server.name == "leveret":
            slow, fast = max(middle.values()), min(middle.values())
            assert slow < 3 * fast + 0.002, middle


@pytest.fixture(scope="module")
def open_house(start_server):
    return start_server(registration=True)


@pytest.mark.needs("registration", "cli")
class TestNamesThatRulesRead:
    """`+`, `#` and `$` in a name would be read as wildcards where rules insert it (S14)."""

    NAMES = ["a+b", "a#b", "$sys"]

    @pytest.mark.parametrize("name", NAMES)
    def test_they_cannot_be_registered(self, open_house, name):
        assert self.register(open_house, name).condition == "not-acceptable"  # XEP-0077 §3.1.1
        with pytest.raises(AssertionError, match="not-authorized"):
            Wire.over_starttls(open_house).sign_in(Account(name, open_house.domain, "long-enough"))

    def test_another_name_can(self, open_house):
        assert self.register(open_house, "ab").ok
        Wire.over_starttls(open_house).sign_in(Account("ab", open_house.domain, "long-enough"))

    @pytest.mark.parametrize("name", NAMES)
    def test_they_cannot_be_added_at_the_command_line(self, server, name):
        assert server.cli("account", "add", name, "--password", "long-enough", check=False).returncode != 0

    def register(self, server, name: str):
        wire = Wire.over_starttls(server)
        return wire.ask("set", f"<query xmlns='jabber:iq:register'><username>{name}</username><password>long-enough</password></query>")
