from __future__ import annotations

import contextlib
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.wire import model, xml_
from doppio.wire.xml_ import XmlReader, XmlWriter

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    st.text(
        st.characters(
            exclude_categories=["Cs", "Cc"],
            exclude_characters="\ufffe\uffff",
            include_characters="\n\t\r<>&\"'",
        )
    )
)
def test_any_text_comes_back(text: str) -> None:
    assert (ElementTree.fromstring(f"<a>{xml_.escape(text)}</a>").text or "") == text


def test_characters_that_xml_cannot_hold_become_references_as_in_s3() -> None:
    assert xml_.escape("a\x01b\rc") == "a&#x1;b&#13;c"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<a>",
        b"text",
        b"<a></b>",
        b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        "<!DOCTYPE a><a/>".encode("utf-16"),
        b"<a>&undefined;</a>",
        b"<a>\xff</a>",
        b"\x00",
    ],
)
def test_what_is_not_plain_xml_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError):
        xml_.parse(content)


@given(st.binary(max_size=60) | st.text("<>/a&;!-[]='\" ", max_size=60).map(str.encode))
def test_garbage_is_a_value_error_or_a_tree(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        xml_.parse(content)


def test_namespaces_do_not_matter_for_reading() -> None:
    assert xml_.local_name("{http://x}Key") == xml_.local_name("Key") == "Key"
    member = model.load("s3").shape("DeleteObjectsRequest").members["Delete"]
    read = XmlReader().element(member)
    inner = "<Object><Key>a</Key></Object><Object><Key>b</Key></Object><Quiet>true</Quiet>"
    expected = {"Objects": [{"Key": "a"}, {"Key": "b"}], "Quiet": True}
    for attribute in ("", ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'):
        root = xml_.parse(f"<Delete{attribute}>{inner}</Delete>".encode())
        assert read(root) == expected


def test_attributes_are_read_and_written() -> None:
    member = model.load("s3").shape("Grant").members["Grantee"]
    write = XmlWriter("iso8601").element(member, "Grantee")
    pieces: list[str] = []
    write(pieces.append, {"Type": "CanonicalUser", "ID": "me & you"})
    text = "".join(pieces)
    assert text == (
        '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">'
        "<ID>me &amp; you</ID></Grantee>"
    )
    value = XmlReader().element(member)(xml_.parse(text.encode()))
    assert value == {"Type": "CanonicalUser", "ID": "me & you"}


def test_nones_are_left_out() -> None:
    shape = model.load("s3").shape("ListObjectsV2Output")
    pieces: list[str] = []
    XmlWriter("iso8601-millis").structure(shape)(
        pieces.append, {"Name": "b", "Prefix": None, "Contents": [None, {"Key": "k", "Size": 0}]}
    )
    joined = "".join(pieces)
    assert "<Contents><Key>k</Key><Size>0</Size></Contents>" in joined
    assert "Prefix" not in joined
