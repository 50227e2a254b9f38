"""What is hidden in texts, and what stays readable."""

from __future__ import annotations

import pytest

from transformer.targets._secrets import Secrets


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
