"""Packages: what they bring, what the project says of them, how they are installed."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.project_dbt.lab import PROJECT, checks, clean, load, model, names, renderers
from tests.projects import write
from tests.sources.test_remote import web
from transformer.errors import TransformError
from transformer.project.dbt.deps import _fits, install

PACKAGE = {
    "dbt_project.yml": "name: tools\nversion: '0.1'\n"
    "vars: {unit: day, size: 1, shade: dark, tools: {size: 2}}\n"
    "models: {tools: {+materialized: view, +schema: tools}}\n"
    "on-run-start: select 0\n",
    "models/base.sql": "{{ config(materialized='ephemeral') }} select 1 as id",
    "models/extra.sql": "select 1 as id",
    "models/_.yml": """
        models:
          - name: base
            description: "{{ doc('text') }}"
            columns: [{name: id, data_tests: [unique]}]
          - name: extra
            config: {enabled: "{{ var('with_extra', true) }}"}
            data_tests: [not_null]
        sources:
          - name: lake
            schema: "{{ var('unit') }}"
            tables: [{name: events, identifier: e}]
        """,
    "models/text.md": "{% docs text %}The base.{% enddocs %}",
    "macros/m.sql": "{% macro m() %}1{% endmacro %}",
    "tests/generic/big.sql": "{% test big(model) %}select 1{% endtest %}",
    "seeds/units.csv": "id\n1\n",
}
ASKED = {"packages.yml": "packages: [{local: ../tools}]\n"}
SHOP = {"models/orders.sql": "select 1 as id"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder beside which the package lies."""
    write(tmp_path / "tools", PACKAGE)
    return tmp_path / "shop"


def link(home: Path) -> None:
    (home / "dbt_packages").mkdir(parents=True, exist_ok=True)
    (home / "dbt_packages" / "tools").symlink_to("../../tools", target_is_directory=True)


@pytest.mark.parametrize(
    ("installed", "shown"), [(True, "dbt_packages/tools"), (False, "../tools")]
)
def test_a_package_is_read_where_it_is_installed_or_where_it_lies(
    home: Path, installed: bool, shown: str
) -> None:
    if installed:
        link(home)
    project = clean(home, {**SHOP, **ASKED})
    assert model(project, "orders").package == ""
    base = model(project, "base")
    assert (base.package, base.path) == ("tools", f"{shown}/models/base.sql")
    assert base.described.description == "The base."
    assert (project.packages["tools"].folder, project.packages["tools"].version) == (shown, "0.1")
    own = [(m.path, m.package) for m in project.macros if m.package != "dbt"]
    assert own == [
        (f"{shown}/macros/m.sql", "tools"),
        (f"{shown}/tests/generic/big.sql", "tools"),
    ]
    assert {check.package for check in checks(project)} == {"tools"}
    assert [hook.package for hook in project.on_run_start] == ["tools"]


def test_what_the_project_says_of_a_package_beats_what_its_files_say(home: Path) -> None:
    link(home)
    settings = PROJECT + (
        "models: {tools: {base: {+materialized: table, +tags: x}}}\n"
        "seeds: {tools: {+enabled: false}}\n"
        "data_tests: {tools: {+severity: warn}}\n"
    )
    project = clean(home, {**SHOP, "dbt_project.yml": settings})
    base = model(project, "base")
    assert base.config == {"materialized": "view", "schema": "tools"}
    assert base.over == {"materialized": "table", "tags": ("x",)}
    assert not project.seeds
    assert {check.config.severity for check in checks(project)} == {"warn"}


def test_variables_of_a_package_come_from_the_project_before_its_own(home: Path) -> None:
    link(home)
    settings = PROJECT + "vars: {unit: week, tools: {shade: light, with_extra: false}}\n"
    project = clean(home, {**SHOP, "dbt_project.yml": settings}, vars={"colour": "red"})
    seen = project.packages["tools"].vars
    assert (seen["unit"], seen["size"], seen["shade"], seen["colour"]) == (
        "week",
        2,
        "light",
        "red",
    )
    assert "size" not in project.vars
    assert project.sources[0].schema == "week"
    assert "extra" in project.disabled
    assert names(project) == {"unique_base_id"}


def test_the_project_may_test_a_packages_model_and_override_its_sources(home: Path) -> None:
    link(home)
    text = """
        models: [{name: base, columns: [{name: id, data_tests: [not_null]}]}]
        sources:
          - name: lake
            overrides: tools
            schema: elsewhere
            tables: [{name: events, identifier: mine}]
        """
    project = clean(home, {**SHOP, "models/_.yml": text})
    found = {check.name: check.package for check in checks(project)}
    assert found["not_null_base_id"] == ""
    assert found["unique_base_id"] == "tools"
    (events,) = project.sources
    assert (events.schema, events.identifier, events.package) == ("elsewhere", "mine", "tools")


@pytest.mark.parametrize(
    "entry",
    [
        "{package: dbt-labs/dbt_utils, version: 1.0.0}",
        '{git: "https://example.org/x/other.git", revision: main}',
        "{local: ../nowhere}",
    ],
)
def test_a_package_that_is_not_installed_is_a_mistake(tmp_path: Path, entry: str) -> None:
    project = load(tmp_path, {**SHOP, "packages.yml": f"packages:\n  - {entry}\n"})
    (wrong,) = project.mistakes
    assert "is not installed" in wrong.what
    assert "transform deps" in wrong.hint
    assert wrong.where is not None
    assert wrong.where.line == 2


def test_local_packages_are_installed_as_links_and_theirs_with_them(home: Path) -> None:
    write(home.parent / "tools", {"packages.yml": "packages: [{local: ../deep}]"})
    write(home.parent / "deep", {"dbt_project.yml": "name: deep\n"})
    write(home, {"dbt_project.yml": PROJECT, **ASKED})
    made = install(home, {}, renderers()[1], os.environ)
    assert [each.name for each in made] == ["tools", "deep"]
    assert (home / "dbt_packages" / "deep").resolve() == home.parent / "deep"
    lock = (home / "package-lock.yml").read_text()
    assert '- local: "../tools"' in lock
    assert "sha1_hash: " in lock
    assert set(clean(home, SHOP).packages) == {"tools", "deep"}


def git(folder: Path, *words: str) -> str:
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_CONFIG_GLOBAL": os.devnull}
    env = {**os.environ, **who, "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    done = subprocess.run(
        ["git", *words], cwd=folder, env=env, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("revision", ["v1", "COMMIT"])
def test_a_package_from_git_is_taken_at_its_revision_and_folder(
    tmp_path: Path, revision: str
) -> None:
    repo, home = tmp_path / "repo", tmp_path / "shop"
    write(repo, {"inner/dbt_project.yml": "name: inner\n", "inner/macros/m.sql": "one"})
    git(repo, "init", "--quiet")
    git(repo, "add", ".")
    git(repo, "commit", "--quiet", "-m", "one")
    git(repo, "tag", "v1")
    commit = git(repo, "rev-parse", "HEAD")
    write(repo, {"inner/macros/m.sql": "two"})
    git(repo, "commit", "--quiet", "-am", "two")
    wanted = revision.replace("COMMIT", commit)
    asked = f"packages: [{{git: ../repo, revision: {wanted}, subdirectory: inner}}]"
    write(home, {"dbt_project.yml": PROJECT, "packages.yml": asked})
    install(home, {}, renderers()[1], os.environ)
    assert (home / "dbt_packages/inner/macros/m.sql").read_text() == "one"
    assert commit in (home / "package-lock.yml").read_text()


def test_what_cannot_be_fetched_is_told_by_name_and_without_passwords(tmp_path: Path) -> None:
    asked = 'packages: [{git: "https://me:hunter2@127.0.0.1:1/x/tools.git"}]'
    write(tmp_path, {"dbt_project.yml": PROJECT, "packages.yml": asked})
    with pytest.raises(TransformError, match="`tools` cannot be fetched") as wrong:
        install(tmp_path, {}, renderers()[1], os.environ)
    assert not any("hunter2" in line for line in wrong.value.detail)


def packed(path: Path, odd: str) -> None:
    """An archive of a good package, with a member that would leave its folder."""
    with tarfile.open(path, "w:gz") as archive:
        for name, text in (("tools/dbt_project.yml", "name: tools\n"), (odd, "mine")):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            if odd.endswith("link") and name == odd:
                member.type, member.size = tarfile.SYMTYPE, 0
                member.linkname = str(path.parent / "outside")
            archive.addfile(member, io.BytesIO(text.encode()))


ODD = ["tools/macros/m.sql", "../outside", "tools/../../outside", "/ROOT/outside", "tools/link"]


@pytest.mark.parametrize("odd", ODD)
def test_an_archive_writes_nothing_outside_of_its_folder(tmp_path: Path, odd: str) -> None:
    there = tmp_path / "there"
    there.mkdir()
    packed(there / "tools.tar.gz", odd.replace("/ROOT", str(there)))
    before = sorted(there.iterdir())
    home = tmp_path / "shop"
    with web(there) as host:
        asked = f"packages: [{{tarball: 'http://{host}/tools.tar.gz', name: tools}}]"
        write(home, {"dbt_project.yml": PROJECT, "packages.yml": asked})
        if odd == ODD[0]:
            install(home, {}, renderers()[1], os.environ)
            assert (home / "dbt_packages" / odd).read_text() == "mine"
        else:  # one with `/` before it is put below the folder, where no package is then
            with pytest.raises(TransformError, match=r"`tools` (cannot be unpacked|has no)"):
                install(home, {}, renderers()[1], os.environ)
            assert not (home / "dbt_packages" / "tools").exists()
    assert sorted(there.iterdir()) == before
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize(
    ("version", "wanted", "fits"),
    [
        ("1.2.3", [">=1.0.0", "<2.0.0"], True),
        ("2.0.0", [">=1.0.0", "<2.0.0"], False),
        ("1.2.3", ["1.2.3"], True),
        ("1.2.3-b1", [">=1.0.0"], False),
        ("1.2.3", [], True),
    ],
)
def test_a_version_fits_what_is_wanted(version: str, wanted: list[str], fits: bool) -> None:
    assert _fits(version, wanted, prerelease=False) is fits


def archive(mode: str) -> bytes:
    """A package as an archive."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as there:  # type: ignore[call-overload]
        for name, text in (("dbt_project.yml", "name: tools\n"), ("macros/m.sql", "x" * 3000)):
            member = tarfile.TarInfo(f"tools/{name}")
            member.size = len(text)
            there.addfile(member, io.BytesIO(text.encode()))
    return made.getvalue()


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_an_archive_that_is_cut_short_installs_nothing(tmp_path: Path, mode: str) -> None:
    whole, there = archive(mode), tmp_path / "there"
    there.mkdir()
    ends = 512 * 9  # of the second file: a plain archive is padded behind it
    cuts = sorted({0, 1, 512, 1024, *range(3, min(len(whole), ends), 97), len(whole)})
    with web(there) as host:
        for cut in (each for each in cuts if each <= (ends if mode == "w" else len(whole))):
            (there / "tools.tar.gz").write_bytes(whole[:cut])
            home = tmp_path / f"shop_{cut}"
            asked = f"packages: [{{tarball: 'http://{host}/tools.tar.gz', name: tools}}]"
            write(home, {"dbt_project.yml": PROJECT, "packages.yml": asked})
            if cut == len(whole):
                install(home, {}, renderers()[1], os.environ)
                continue
            with pytest.raises(TransformError, match="`tools` cannot be unpacked"):
                install(home, {}, renderers()[1], os.environ)
            assert not (home / "dbt_packages" / "tools").exists(), cut
