"""YAML that people write: plain values, or the line and what is wrong there."""

import pytest

from asit_edge.yaml_text import MOST_NODES, PlainLoader, Unreadable, read_yaml


def doubled(levels: int) -> str:
    """Lists that name the one before twice: as many values as 2 to the power of `levels`."""
    return "a0: &a0 [1, 1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, levels))


def test_words_are_words_where_that_is_asked_for() -> None:
    assert read_yaml("[No, 22:00, 2026-01-01]", PlainLoader)[1] == ["No", "22:00", "2026-01-01"]
    assert read_yaml("[No, 22:00]")[1] == [False, 1320]
    assert read_yaml("# nothing\n") == (None, None)


def test_an_alias_is_what_it_stands_for() -> None:
    assert read_yaml("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}\n")[1]["d"] == {"b": 1, "e": 2}
    assert len(read_yaml(doubled(10))[1]) == 10


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a: 1\n? [b]\n: c\n", 2, "a key must be a plain text"),
        ("a: 1\n? {b: c}\n: d\n", 2, "a key must be a plain text"),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", 4, "key 'c' is there twice, first on line 3"),
        ("a: &x\n- 1\n- *x\n", 1, "an alias stands for what it is itself a part of"),
        (doubled(40), None, f"more than {MOST_NODES:,} values"),
        ('a: 1\nb: "x\\0"\n', 2, "a NUL"),
        ('a: 1\n"\\ud800": 2\n', 2, "a NUL or half a character"),
        ("a: 1\nb: " + "9" * 5_000, 2, "this is no whole number that can be read"),
        ("a: 1\nb: 9223372036854775808", 2, "this is no whole number that can be read"),
        ("a: 1\nb: !!float ''", 2, "this is no number that can be read"),
        ("a: 1\nb: !!bool maybe", 2, "this is no true or false that can be read"),
        ("a: 1\nb: 2026-13-45", 2, "this is no time that can be read"),
        ("[" * 3_000, 1, "nested too deeply"),
        ("- " * 100_000 + "a", 1, "nested too deeply"),
        ("a: 1\n\tb: 2\n", 2, "a tab"),
        ("a: !secret x\n", 1, "!secret is not known here"),
        ("a: \1\n", None, "a character that YAML does not allow"),
    ],
)
def test_what_no_document_needs_is_refused_with_its_line(text: str, line: int | None, problem: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read_yaml(text)
    assert refused.value.line == line
    assert problem in refused.value.problem
    assert refused.value.of("x.yaml").startswith("x.yaml: " if line is None else f"x.yaml:{line}: ")


def test_nine_quintillion_is_a_number() -> None:
    assert read_yaml("9223372036854775807")[1] == (1 << 63) - 1
