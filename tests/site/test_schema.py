"""Schema, page and reader of the site file say the same; and an example is one that works."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chunkwise.cli import main
from chunkwise.errors import InputError
from chunkwise.site import load_site
from chunkwise.site.keys import NAMED, PLAIN, Key
from chunkwise.site.schema import key_tables, site_schema

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = jsonschema.Draft202012Validator(site_schema())
EXAMPLE = re.findall(r"^```toml\n(.*?)^```", (DOCS / "site.md").read_text(), re.MULTILINE | re.DOTALL)[0]


@pytest.fixture(scope="module")
def site_file(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Where the reader finds what a test writes."""
    file = tmp_path_factory.mktemp("site") / "site.toml"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHUNKWISE_SITE", str(file))
        yield file


def test_the_published_schema_is_that_of_the_keys(capsys: pytest.CaptureFixture[str]) -> None:
    jsonschema.Draft202012Validator.check_schema(site_schema())
    assert main(["site", "schema"]) == 0
    again = "chunkwise site schema > docs/site.schema.json"
    assert (DOCS / "site.schema.json").read_text() == capsys.readouterr().out, again


def test_the_page_has_every_key() -> None:
    page = (DOCS / "site.md").read_text()
    for section, table in key_tables().items():
        assert f"### [{section}]\n\n{table}\n" in page, f"[{section}]: put in what 'chunkwise site keys' prints"


def test_the_example_is_one(site_file: Path) -> None:
    site_file.write_text(EXAMPLE)
    site = load_site()
    assert site is not None
    assert site.workspace is not None
    content = tomllib.loads(EXAMPLE)
    SCHEMA.validate(content)
    # It shows every section, every kind of cluster and every kind of root.
    assert set(content) == set(NAMED) | set(PLAIN)
    assert {cluster.kind for cluster in site.clusters.values()} == set(NAMED["clusters"]["kind"].choices) - {"local"}
    assert {(root.url or "/").split("://")[0] for root in site.roots.values()} == {"/", "https", "s3"}
    assert site.workspace.quota == 2 * 2**40
    assert site.workspace.umask == 0o027
    assert not site.roots["galaxy"].named_by_users


@pytest.mark.parametrize("file", sorted(Path(__file__).parents[2].glob("deploy/**/site*.toml")), ids=lambda f: f.name)
def test_site_files_of_the_deployment_keep_to_the_schema(file: Path) -> None:
    SCHEMA.validate(tomllib.loads(re.sub("@[A-Z_]+@", "/place", file.read_text())))


WORDS = st.text(st.sampled_from("aZ0@%+=:,./_-"), min_size=1, max_size=8)
ONE_LINE = st.text(st.characters(codec="utf-8", exclude_characters="\n\0", exclude_categories=["Cs"]), min_size=1)
GOOD: dict[str, st.SearchStrategy[Any]] = {
    "text": ONE_LINE,
    "word": WORDS,
    "path": WORDS.map("/{}".format),
    "program": ONE_LINE.map("/{}".format),
    "bytes": st.one_of(st.integers(1, 2**60), st.sampled_from(["5", "12B", "1.5 GiB", "20kB", "3 t", "0.5Pib"])),
    "duration": st.one_of(st.integers(1, 10**6), st.sampled_from(["30s", "15 m", "5min", "1.5h", "90d"])),
    "count": st.integers(0, 10**6),
    "number": st.one_of(st.integers(1, 10**9), st.floats(0.1, 1e12)),
    "flag": st.booleans(),
    "texts": st.lists(ONE_LINE, max_size=3),
    "words": st.lists(WORDS, max_size=3),
    "mask": st.sampled_from(["000", "0027", "777"]),
}
#: Of the wrong kind for at least one of the keys; the reader says which.
ANY = st.one_of(
    *GOOD.values(),
    st.just(""),
    st.just("a b"),
    st.just("relative/path"),
    st.just("$(touch x)"),
    st.just("a;b"),
    st.just("two\nlines"),
    st.just("zero\0byte"),
    st.just("word\n"),
    st.just("5GiB\n"),
    st.just("0027\n"),
    st.just("5 parsecs"),
    st.just("08"),
    st.just(-1),
    st.just(0),
    st.just(-0.5),
    st.just({}),
    st.just([1]),
    st.just(["a", "b\nc"]),
    st.just(["a b"]),
)
#: Every key, with what its section needs beside it to be whole.
KEYS = [(section, name, key) for section, keys in {**NAMED, **PLAIN}.items() for name, key in keys.items()]


def toml(value: Any) -> str:
    """Write a value as TOML, which JSON almost is."""
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return "{}" if isinstance(value, dict) else json.dumps(value)


def accepted_by_reader(site_file: Path, section: str, name: str, value: Any) -> bool:
    """Whether the reader takes a value for a key: what it says of other keys is no answer to that."""
    header = f"{section}.x" if section in NAMED else section
    site_file.write_text(f"[{header}]\n{name} = {toml(value)}\n", encoding="utf-8")
    said = ""
    try:
        load_site()
    except InputError as error:
        said = str(error)
    assert "cannot be read" not in said, "the test wrote no TOML"
    return not re.search(f" has {name} = .*, which has to be ", said, re.DOTALL)


def accepted_by_schema(section: str, name: str, value: Any) -> bool:
    schema = site_schema()["properties"][section]
    schema = schema["additionalProperties"] if section in NAMED else schema
    return bool(jsonschema.Draft202012Validator(schema["properties"][name]).is_valid(value))


def good(key: Key) -> st.SearchStrategy[Any]:
    return st.sampled_from(key.choices) if key.choices else GOOD[key.kind]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_reader_and_schema_agree(site_file: Path, data: st.DataObject) -> None:
    section, name, key = data.draw(st.sampled_from(KEYS))
    value = data.draw(st.one_of(good(key), ANY))
    assert accepted_by_reader(site_file, section, name, value) == accepted_by_schema(section, name, value), value


@pytest.mark.parametrize(("section", "name", "key"), KEYS, ids=[f"{section}.{name}" for section, name, _ in KEYS])
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_key_takes_what_it_should(
    site_file: Path, section: str, name: str, key: Key, data: st.DataObject
) -> None:
    value = data.draw(good(key))
    assert accepted_by_reader(site_file, section, name, value)
    assert accepted_by_schema(section, name, value)
    wrong = {"flag": 1}.get(key.kind, True)
    assert not accepted_by_reader(site_file, section, name, wrong)
    assert not accepted_by_schema(section, name, wrong)


@pytest.mark.parametrize("text", ["[surprise]\n", "[roots.x]\nmode = 1\n", "[limits]\nworker = 1\n", '[roots."a/b"]\n'])
def test_unknown_names_are_refused_by_both(site_file: Path, text: str) -> None:
    site_file.write_text(text)
    with pytest.raises(InputError):
        load_site()
    assert not SCHEMA.is_valid(tomllib.loads(text))


SHELL = [
    "$(touch x)",
    "`x`",
    "a;b",
    "a b",
    "a\nb",
    "a'b",
    'a"b',
    "a&b",
    "a|b",
    "a>b",
    "a\\b",
    "ä",
    "a#b",
    "*",
    "~x",
    "(x)",
]


@pytest.mark.parametrize("text", SHELL)
def test_nothing_that_goes_into_a_batch_script_can_be_shell(site_file: Path, text: str) -> None:
    words = [(section, name) for section, name, key in KEYS if key.kind in ("word", "words")]
    assert {"partition", "account", "qos", "constraint", "gres", "sbatch", "interface"} <= {name for _, name in words}
    for section, name in words:
        value = [text] if name == "sbatch" else text
        assert not accepted_by_reader(site_file, section, name, value), name
        assert not accepted_by_schema(section, name, value), name
