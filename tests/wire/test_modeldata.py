from __future__ import annotations

from doppio.wire import modeldata


def test_documentation_is_never_decoded() -> None:
    data = modeldata.decode_shape(
        b'{"type":"string","documentation":"long","max":3,"enum":["a"],"unknown":{"x":[1]}}'
    )
    assert (data.type, data.max, data.enum) == ("string", 3, ["a"])
    assert not hasattr(data, "documentation")


def test_operations_and_shapes_stay_bytes_until_asked_for() -> None:
    content = b'{"metadata":{"protocol":"json"},"operations":{"A":{"name":"A"}},"shapes":{"S":1}}'
    data = modeldata.decode_model(content)
    assert bytes(data.shapes["S"]) == b"1"
    assert modeldata.decode_operation(data.operations["A"]).http.method == "POST"
