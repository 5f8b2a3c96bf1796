"""The language of filters, by the examples of AWS's guide."""

from __future__ import annotations

import pytest

from doppio.services.logs.patterns import BadPattern, compiled

REQUEST = '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534'
EVENT = (
    '{"eventType": "UpdateTrail", "sourceIPAddress": "111.111.111.111", "arrayKey": ["value", "x"],'
    ' "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}], "SomeObject": null,'
    ' "ThisFlag": true, "latency": 1.5e2}'
)


@pytest.mark.parametrize(
    ("pattern", "line", "fits"),
    [
        ("", "anything", True),
        ("ERROR", "[ERROR] broken", True),
        ("ERROR", "error", False),
        ("ERROR ARGUMENTS", "ARGUMENTS ERROR", True),
        ("ERROR ARGUMENTS", "ERROR", False),
        ("?ERROR ?ARGUMENTS", "only ARGUMENTS", True),
        ("?ERROR ?ARGUMENTS", "none", False),
        ("ERROR -ARGUMENTS", "ERROR here", True),
        ("ERROR -ARGUMENTS", "ERROR ARGUMENTS", False),
        ('"INTERNAL SERVER"', "an INTERNAL SERVER error", True),
        ('-"a b"', "a b", False),
        ("%ERR[A-Z]+%", "x ERRNO", True),
        ("%^ERR%", "x ERRNO", False),
        ("[ip, user, name, time, request, status, size]", REQUEST, True),
        ("[ip, user, name, time, request, status = 4*, size]", REQUEST, True),
        ("[ip, user, name, time, request = *html*, status = 5*, size]", REQUEST, False),
        ("[ip, user, name, time, request, status, size > 1000]", REQUEST, True),
        ("[..., status = 404, size]", REQUEST, True),
        ("[..., status = 404 || status = 410, size]", REQUEST, True),
        ("[..., status != 404 && status != 410, size]", REQUEST, False),
        ('[ip = "127.0.0.1", ...]', REQUEST, True),
        ("[ip, user]", REQUEST, False),
        ("[,,,,,status=404,]", REQUEST, True),
        ('{ $.eventType = "UpdateTrail" }', EVENT, True),
        ("{ $.eventType = UpdateTrail }", EVENT, True),
        ("{ $.sourceIPAddress != 123.123.* }", EVENT, True),
        ('{ $.arrayKey[0] = "value" }', EVENT, True),
        ('{ $.arrayKey[*] = "x" }', EVENT, True),
        ("{ $.objectList[1].id = 2 }", EVENT, True),
        ("{ $.objectList[*].id = 3 }", EVENT, False),
        ("{ $.SomeObject IS NULL }", EVENT, True),
        ("{ $.SomeOtherObject NOT EXISTS }", EVENT, True),
        ("{ $.ThisFlag IS TRUE }", EVENT, True),
        ("{ $.ThisFlag IS FALSE }", EVENT, False),
        ("{ $.latency >= 150 }", EVENT, True),
        ("{ $.latency = 1.5e2 && ($.eventType = Nope || $.ThisFlag IS TRUE) }", EVENT, True),
        ("{ $.eventType = %^Update% }", EVENT, True),
        ("{ $.missing != 1 }", EVENT, False),
        ("{ $.a = 1 }", "no JSON", False),
        ("{ $.a = 1 }", '{"a": "1"', False),
        ('{ $.["a b"] = 1 }', "", None),
        ('{ $["a b"] = 1 }', '{"a b": 1}', True),
        ("{ $.a = }", "", None),
        ("{ a = 1 }", "", None),
        ("[a, b", "", None),
        ("[a = ]", "", None),
        ("not-a-word", "", None),
        ("%(a)%", "", None),
    ],
)
def test_a_pattern_takes_what_it_says(pattern: str, line: str, fits: bool | None) -> None:
    if fits is None:
        with pytest.raises(BadPattern):
            compiled(pattern)
    else:
        assert (compiled(pattern)(line) is not None) is fits


def test_columns_and_selectors_give_values() -> None:
    values = compiled("[ip, ..., status, size > 1000]")(REQUEST)
    assert values is not None
    assert (values["$ip"], values["$status"], values["$size"]) == ("127.0.0.1", "404", "1534")
    assert compiled("{ $.latency > 1 }")(EVENT) == {"$.latency": "1.5e2"}
