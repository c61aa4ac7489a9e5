import json
import socket

import pytest
from live_server import SmallApp, answer, deadline, is_cut, live, read_to_the_end, send_much, trickle, until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CLOSING = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def strict():
    """Short deadlines."""
    with live(
        wrap=lambda app: deadline(app, total=5.0, grace=0.2, least_rate=1_000_000),
        header_seconds=1.0,  # a client of these tests may be set aside for a while
        write_seconds=0.2,
        linger_seconds=1.0,
    ) as server:
        yield server


@pytest.fixture(scope="module")
def roomy():
    """Long deadlines, small sizes."""
    with live(header_bytes=4096, header_fields=20, linger_bytes=40_000_000, pipelined=3) as server:
        yield server


@pytest.fixture
def connection(strict):
    with strict.connect() as made:
        yield made


@pytest.fixture
def patient(roomy):
    """A connection to the server with long deadlines."""
    with roomy.connect() as made:
        yield made


def refused(connection, status, code):
    got, fields, body = answer(connection)
    assert (got, fields["content-type"], fields["connection"]) == (status, "application/problem+json", "close")
    document = json.loads(body)
    assert (document["code"], document["status"]) == (code, status)
    assert document["hint"]
    assert is_cut(connection)


# --- headers -----------------------------------------------------------------------------------------------


def test_a_trickled_header_is_cut(strict, connection):
    before = strict.refusals["header_timeout"]
    connection.sendall(b"GET / HTTP/1.1\r\nX-Long: ")
    assert trickle(connection)
    refused(connection, 408, "header_timeout")
    assert strict.refusals["header_timeout"] == before + 1


def test_a_trickled_header_is_cut_on_a_connection_that_was_kept(connection):
    for _ in range(2):
        connection.sendall(GET)
        assert answer(connection)[0] == 200
    connection.sendall(b"GET /")
    assert trickle(connection)
    refused(connection, 408, "header_timeout")


def test_empty_lines_are_no_way_to_stay(connection):
    connection.sendall(GET)
    answer(connection)
    connection.sendall(b"\r\n")
    assert trickle(connection, b"\r\n")
    refused(connection, 408, "header_timeout")


def test_a_connection_that_says_nothing_is_closed_without_an_answer(strict, connection):
    before = strict.refusals.copy()
    assert connection.recv(100) == b""
    assert strict.refusals == before


def test_a_header_that_begins_in_the_packet_of_the_request_before_has_its_deadline(connection):
    connection.sendall(GET + b"GET / HT")
    assert answer(connection)[0] == 200
    refused(connection, 408, "header_timeout")


@pytest.mark.parametrize(
    "header",
    [
        b"X-Long: " + b"x" * 5000,
        b"X-Long: " + b"x" * 300_000,
        b"X-Short: 1\r\n" * 21 + b"X-Last: 1",
        b"X-Short: 1\r\n" * 30_000 + b"X-Last: 1",
    ],
)
@pytest.mark.parametrize("end", [b"\r\n\r\n", b""])
def test_a_header_that_is_too_large_is_refused(patient, header, end):
    patient.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n" + header + end)
    refused(patient, 431, "header_too_large")


def test_an_address_that_is_too_long_is_refused(patient):
    patient.sendall(b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n")
    refused(patient, 431, "header_too_large")


def test_a_large_header_within_the_limits_is_taken(patient):
    patient.sendall(b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 3900 + b"\r\n" + b"X-Short: 1\r\n" * 10 + b"\r\n")
    assert answer(patient)[0] == 200


@pytest.mark.parametrize(
    "junk", [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n", b"{}\r\n\r\n"]
)
def test_what_is_not_http_is_refused(patient, junk):
    patient.sendall(junk)
    refused(patient, 400, "request_invalid")


def test_a_request_that_is_being_answered_does_not_suffer_from_the_next(strict, connection):
    connection.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    connection.sendall(b"GET / HTTP/1.1\r\nX-Long: ")
    assert answer(connection)[2] == b"slow"
    assert is_cut(connection)


def test_so_many_requests_may_wait_behind_another_and_no_more(patient):
    patient.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" + GET * 500)
    received = b""
    while more := patient.recv(65536):
        received += more
    assert received.count(b"HTTP/1.1 200 OK") == 4
    assert received.count(b"connection: close") == 1


# --- bodies ------------------------------------------------------------------------------------------------


def post(path, length, *more):
    return b"\r\n".join([b"POST " + path + b" HTTP/1.1", b"Host: a", b"Content-Length: %d" % length, *more, b"", b""])


def test_a_body_that_trickles_is_cut(connection):
    connection.sendall(post(b"/read", 10_000))
    assert trickle(connection)
    refused(connection, 408, "body_timeout")


@pytest.mark.parametrize("path", [b"/", b"/refuse"])
def test_a_body_that_trickles_behind_its_answer_is_cut(connection, path):
    connection.sendall(post(path, 10_000_000))
    assert answer(connection)[0] in (200, 503)
    connection.setblocking(True)
    assert trickle(connection)
    assert is_cut(connection)


@pytest.mark.parametrize("begin", [b"1;a=", b"1\r\nx\r\n0\r\nX-Long: "])
def test_chunk_extensions_and_trailers_have_an_end(patient, begin):
    patient.sendall(b"POST /read HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + begin)
    assert trickle(patient, b"x" * 1000)
    refused(patient, 431, "header_too_large")


def test_trailers_are_not_taken_for_fields_of_the_header(roomy, patient):
    patient.sendall(b"POST /read HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")
    patient.sendall(b"Cookie: forged\r\n" * 50 + b"\r\n")
    assert answer(patient)[2] == b"1"
    assert roomy.app.headers[-1] == [(b"transfer-encoding", b"chunked")]


def test_a_broken_body_is_refused_and_the_application_hears_of_it(roomy, patient):
    before = roomy.app.outcomes.count("left")
    patient.sendall(b"POST /read HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    refused(patient, 400, "request_invalid")
    until(lambda: roomy.app.outcomes.count("left") == before + 1)


@pytest.mark.parametrize("more", [(), (b"Connection: close",)])
def test_a_refusal_reaches_a_client_that_sends_all_before_it_reads(patient, more):
    patient.sendall(post(b"/refuse", 30_000_000, *more))
    send_much(patient, 30)
    assert answer(patient)[0] == 503


def test_a_connection_can_be_used_again_after_a_refused_body(patient):
    for _ in range(2):
        patient.sendall(post(b"/refuse", 3_000_000))
        send_much(patient, 3)
        assert answer(patient)[0] == 503
    patient.sendall(GET)
    assert answer(patient)[0] == 200


@pytest.mark.parametrize("more", [(), (b"Connection: close",)])
def test_no_more_than_so_many_bytes_of_a_refused_body_are_taken(patient, more):
    patient.sendall(post(b"/refuse", 10**12, *more))
    with pytest.raises(ConnectionError):
        send_much(patient, 200)


def test_a_body_that_the_application_does_not_read_is_not_kept(roomy, patient):
    roomy.app.released, begun = False, len(roomy.app.headers)
    patient.sendall(post(b"/hold", 100_000_000))
    until(lambda: len(roomy.app.headers) > begun)
    patient.settimeout(0.2)
    with pytest.raises(TimeoutError):
        send_much(patient, 90)
    connections = list(roomy.server.server_state.connections)  # the server goes on changing its set
    (held,) = (protocol for protocol in connections if (protocol.scope or {}).get("path") == "/hold")
    until(lambda: len(held.cycle.body) > 65536)
    assert len(held.cycle.body) < 1_000_000
    roomy.app.released = True


# --- answers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"])
def test_an_answer_that_is_not_read_is_given_up(strict, more):
    before = strict.refusals["answer_unread"]
    with strict.connect(receive_buffer=4096) as made:
        made.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n" + more + b"\r\n")
        until(lambda: strict.refusals["answer_unread"] == before + 1)
        with pytest.raises(ConnectionError):
            read_to_the_end(made)


def test_an_answer_that_is_read_arrives_whole(roomy):
    with roomy.connect() as made:
        made.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        assert len(answer(made)[2]) == 12_000_000


def test_a_large_answer_is_whole_although_the_connection_closes_behind_it(roomy):
    with roomy.connect() as made:
        made.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert len(answer(made)[2]) == 12_000_000
        assert is_cut(made)


def test_the_application_hears_that_a_client_left(roomy):
    before, begun = roomy.app.outcomes.count("left"), len(roomy.app.headers)
    with roomy.connect() as made:
        made.sendall(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda: len(roomy.app.headers) > begun)
    until(lambda: roomy.app.outcomes.count("left") == before + 1)


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("more", [GET, GET + GET, b"POST /read HTTP/1.1\r\nContent-Length: 99\r\n\r\nbegun"])
def test_a_client_that_left_is_noticed_behind_further_requests_of_its_own(roomy, later, more):
    before, begun = roomy.app.outcomes.count("left"), len(roomy.app.headers)
    wait = b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"
    with roomy.connect() as made:
        made.sendall(wait if later else wait + more)
        until(lambda: len(roomy.app.headers) > begun)
        if later:
            made.sendall(more)
    until(lambda: roomy.app.outcomes.count("left") == before + 1)
    assert len(roomy.app.headers) == begun + 1  # none of the further ones was begun


def test_requests_that_came_piecemeal_behind_another_are_answered_in_turn(roomy, patient):
    begun = len(roomy.app.headers)
    patient.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    until(lambda: len(roomy.app.headers) > begun)
    for piece in (b"GET / HTTP/1.1\r\nHo", b"st: a\r\n\r\n", post(b"/read", 5), b"12", b"345"):
        patient.sendall(piece)
    received = b""
    while received.count(b"HTTP/1.1 200 OK") < 3 or not received.endswith(b"5"):
        more = patient.recv(65536)
        assert more, received
        received += more
    assert received.index(b"\r\n\r\nslow") < received.index(b"content-length: 0") < received.index(b"\r\n\r\n5")


def test_a_body_that_waits_behind_another_request_is_not_kept(roomy, patient):
    roomy.app.released, begun = False, len(roomy.app.headers)
    patient.sendall(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
    until(lambda: len(roomy.app.headers) > begun)
    patient.settimeout(0.2)
    patient.sendall(post(b"/read", 100_000_000))
    with pytest.raises(TimeoutError):
        send_much(patient, 90)
    (held,) = (protocol for protocol in list(roomy.server.server_state.connections) if protocol.pipeline)
    until(lambda: sum(len(cycle.body) for cycle, _ in held.pipeline) > 65536)
    assert sum(len(cycle.body) for cycle, _ in held.pipeline) < 1_000_000
    roomy.app.released = True


def test_a_kept_connection_is_closed_when_it_idles():
    with live(keep_alive_seconds=0.1) as server, server.connect() as made:
        made.sendall(GET)
        answer(made)
        assert is_cut(made)


# --- how many ----------------------------------------------------------------------------------------------


def counts(server):
    return len(server.server.server_state.connections), server.server.shared.of_address


def test_connections_have_a_cap_in_all():
    with live(connections=2, per_address=0) as server:
        first, second = server.connect(), server.connect()
        until(lambda: counts(server)[0] == 2)
        with server.connect() as third:
            status, fields, body = answer(third)
            assert (status, fields["retry-after"], fields["connection"]) == (503, "2", "close")
            assert json.loads(body)["code"] == "too_many_connections"
            assert is_cut(third)
        with server.connect() as fourth:
            fourth.sendall(GET)
            assert answer(fourth)[0] == 503
        assert server.refusals == {"too_many_connections": 2}
        first.close()
        until(lambda: counts(server)[0] == 1)
        with server.connect() as fifth:
            fifth.sendall(CLOSING)
            assert answer(fifth)[0] == 200
        second.close()
        until(lambda: counts(server) == (0, {}))
        until(lambda: server.server.shared.turned_away == 0)


def test_connections_have_a_cap_per_address():
    with live(connections=0, per_address=1) as server, server.connect() as made:
        made.sendall(GET)
        assert answer(made)[0] == 200
        with server.connect() as other:
            refused(other, 503, "too_many_connections")
        with server.connect(source="127.0.0.2") as elsewhere:
            elsewhere.sendall(GET)
            assert answer(elsewhere)[0] == 200


def test_a_proxy_has_no_cap_of_its_own():
    proxied = b"GET /client HTTP/1.1\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n"
    with (
        live(per_address=1, trusted_proxies=["127.0.0.1/32"]) as server,
        server.connect() as first,
        server.connect() as second,
    ):
        for made in (first, second):
            made.sendall(proxied)
            assert answer(made)[2] == b"203.0.113.9"


def test_nobody_is_believed_about_an_address_by_default():
    with live() as server, server.connect() as made:
        made.sendall(b"GET /client HTTP/1.1\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n")
        assert answer(made)[2] == b"127.0.0.1"


def test_a_flood_beyond_the_cap_leaves_nothing_behind():
    with live(SmallApp(), connections=1) as server, server.connect() as first:
        first.sendall(GET)
        answer(first)
        flood = []
        for _ in range(100):
            made = socket.create_connection(("127.0.0.1", server.port))
            flood.append(made)
        until(lambda: server.refusals["too_many_connections"] == 100)
        assert all(is_cut(made) for made in flood)
        for made in flood:
            made.close()
        until(lambda: server.server.shared.turned_away == 0)
        first.sendall(GET)
        assert answer(first)[0] == 200
