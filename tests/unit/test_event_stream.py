"""Server-sent events, as the HTML standard has them."""

from services.client.event_stream import Event, events, lines


def test_events_have_type_data_and_id() -> None:
    stream = ["event: status", "id: 7", 'data: {"a":', "data:1}", "", ": still here", "", "event: end", "data:", ""]
    assert list(events(stream)) == [Event("status", '{"a":\n1}', "7"), Event("end", "", "7")]


def test_an_event_without_data_is_none() -> None:
    assert list(events(["event: status", "id: 3", "", "data: x", ""])) == [Event("message", "x", "3")]


def test_what_breaks_off_is_no_event() -> None:
    assert list(events(["data: half"])) == []


def test_lines_end_only_where_the_standard_says_so() -> None:
    chunks = ["data: a\u2028b\x0bc\r\nda".encode(), b"ta: d\n", b"\n", b"rest"]
    assert list(lines(chunks)) == ["data: a\u2028b\x0bc", "data: d", ""]
