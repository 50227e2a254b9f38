"""What is hidden in texts, and what stays readable."""

from __future__ import annotations

from decimal import Decimal

import pytest

from transformer.redaction import (
    Secrets,
    of_options,
    redacted_line,
    redacted_value,
    unclear_login,
)


@pytest.mark.parametrize(
    ("url", "said", "shown"),
    [
        ("postgresql://me:p%40ss@db/x", "no entry for p@ss", "no entry for ***"),
        ("postgresql://me:p%40ss@db/x", "user me", "user me"),
        ("postgresql://db/x?password=abcdef", "abcdef is wrong", "*** is wrong"),
        ("https://a.io/x?key=abcdef&v=1", "key abcdef, v 1", "key ***, v 1"),
        ("https://a.io/hook/T00000000000000001", "at T00000000000000001", "at ***"),
        ("https://a.io/contacts", "no contacts", "no contacts"),
        ("https://me:word@a.io/", "Basic bWU6d29yZA==", "Basic ***"),
        ("https://a.io/x?token=abcdef", "POST https://a.io/x?token=abcdef", "POST ***"),
        ("https://[bad", "at https://[bad", "at ***"),
    ],
)
def test_secrets_of_a_url_are_hidden(url: str, said: str, shown: str) -> None:
    assert Secrets([url]).hidden(said) == shown


def test_secrets_of_headers_are_hidden() -> None:
    secrets = Secrets(
        headers={"Authorization": "Bearer abcdefgh", "Accept": "text/csv", "X-Version": "2"}
    )
    assert secrets.hidden("abcdefgh text/csv 2") == "*** text/csv 2"


def test_a_long_answer_is_cut_after_hiding() -> None:
    secrets = Secrets(headers={"X-Key": "abcdefgh"})
    text = secrets.hidden("x" * 1996 + "abcdefgh")
    assert len(text) == 1999
    assert "a" not in text


def test_its_repr_shows_nothing() -> None:
    assert repr(Secrets(["https://a.io/x?key=abcdef"])) == "Secrets(***)"


@pytest.mark.parametrize(
    "quoted",
    ['pa"ss/wörd&1', 'pa\\"ss/w\\u00f6rd&1', 'pa\\"ss\\/w\\u00f6rd&1', "pa%22ss%2Fw%C3%B6rd%261",
     "pa&quot;ss/wörd&amp;1"],
)  # fmt: skip
def test_a_secret_is_hidden_however_it_is_quoted(quoted: str) -> None:
    secrets = Secrets(headers={"X-Key": 'pa"ss/wörd&1'})
    assert secrets.hidden(f"you sent {quoted}!") == "you sent ***!"


def test_the_password_of_a_basic_login_is_hidden() -> None:
    secrets = Secrets(headers={"Authorization": "Basic bWU6d29yZHdvcmQ="})
    assert secrets.hidden("no such login: me, wordword") == "no such login: me, ***"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("url: postgres://me:p@s/s@db/x", "url: postgres://me:***@db/x"),
        ("  url: https://a.io/x?token=abc&v=1 # n", "  url: https://a.io/x?token=***&v=1 # n"),
        ("path: 'https://a.io/x?sig=abc'", "path: 'https://a.io/x?sig=***'"),
        ("Authorization: Bearer abcdefg", "Authorization: ***"),
        ("headers: {X-Api-Key: abcdefg}", "headers: {X-Api-Key: ***"),
        ("to: https://hooks.io/T00/XXXXXXXXXXXXXXXXXXXXXXXX", "to: https://hooks.io/T00/***"),
        ("token: \"{{ env_var('A') }}\"", "token: \"{{ env_var('A') }}\""),
        ("- name: tokens", "- name: tokens"),
        ("url: 'host=a password=''x y'' port=1'", "url: 'host=a password=*** port=1'"),
    ],
)
def test_a_line_of_a_file_is_shown_without_what_may_be_a_secret(line: str, shown: str) -> None:
    assert redacted_line(line) == shown


@pytest.mark.parametrize(
    ("url", "unclear"),
    [
        ("postgres://me:word@db/x", False),
        ("postgres://me:p%40s@db/x?a=b@c", False),
        ("postgres://db:5432/x", False),
        ("postgres://db/x", False),
        ("postgres://me:p@ss@db/x", True),
        ("postgres://me:p/ss@db/x", True),
        ("postgres://me:12/3@db/x", True),
        ("postgres://me:p#ss@db/x", True),
        ("https://host:8080/@me", False),
        ("https://me:pa/ss@host/", True),
    ],
)
def test_a_login_that_cannot_be_told_from_the_host(url: str, unclear: bool) -> None:
    assert unclear_login(url) is unclear


def test_secrets_written_in_plain_are_found() -> None:
    options = {
        "url": "https://me:pa%40ss@a.io/hook/a1B2c3D4e5F6g7H8i9?key=abcdef",
        "removed_url": "https://a.io/customers_lifetime_value",
        "headers": {"Authorization": "Bearer abcdefgh", "Content-Language": "en-US"},
        "path": ["https://a.io/x.csv?sig=qwert", "data/x.csv"],
    }
    assert set(of_options(options)) == {
        "pa%40ss", "pa@ss", "a1B2c3D4e5F6g7H8i9", "abcdef", "Bearer abcdefgh", "abcdefgh", "qwert",
    }  # fmt: skip


def test_values_are_redacted_before_they_are_encoded() -> None:
    value = {"a": ['x"y\\z', 7, None, {'x"y\\z!': Decimal("1.5")}], "b": True}
    clean = {"a": ["***", 7, None, {"***!": "1.5"}], "b": True}
    assert redacted_value(value, ['x"y\\z'], str) == clean
