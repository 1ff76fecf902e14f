"""An export that was broken off is not taken for a whole one."""

import pytest

from services.client import ApiError
from services.client.endings import TAIL_BYTES, Ending
from services.export import lines, table

WHOLE = {
    "jsonl": b'{"image": "a.jpg", "state": "failed", "reason": "error"}\n',
    "csv": b"image,state,reason,face\r\na.jpg,failed,error,\r\n",
    "xlsx": b"PK\x03\x04" + b"\xff" * 100,
}


def ending(form: str, *chunks: bytes) -> Ending:
    made = Ending(form)
    for chunk in chunks:
        made.add(chunk)
    return made


@pytest.mark.parametrize("form", WHOLE)
def test_what_is_whole_is_whole(form: str) -> None:
    ending(form, WHOLE[form]).check(200)
    ending(form).check(200)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_what_the_service_says_at_the_end_is_an_error(form: str) -> None:
    said = {"jsonl": lines.broken_off, "csv": table.broken_off}[form]("not_found", 'The "job", is gone.').encode()
    with pytest.raises(ApiError, match="is gone") as refused:
        ending(form, WHOLE[form] * (TAIL_BYTES // 10), said[:5], said[5:]).check(200)
    assert refused.value.code == "not_found"
