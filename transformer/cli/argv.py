"""The words of a call as the commands read them.

People write them as dbt reads them: options before or after the command, several words behind
one `--select`, and options that mean something to dbt only. This is the one place that knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from typer.core import TyperGroup

# Options that take words until the next option begins.
MANY = frozenset(
    {"--select", "-s", "--exclude", "--resource-type", "--exclude-resource-type", "--output-keys"}
)
# Other spellings.
SAME: Mapping[str, str] = {
    "--models": "--select",
    "--model": "--select",
    "-m": "--select",
    "--resource-types": "--resource-type",
    "--exclude-resource-types": "--exclude-resource-type",
    "-v": "--version",
    "-V": "--version",
    "-h": "--help",
}
_COMMANDS = {"list": "ls"}
# Options that mean nothing here: those that stand alone, and those that a word follows.
_ALONE = (
    *("partial-parse", "static-parser", "version-check", "cache-selected-only", "introspect"),
    *(
        "send-anonymous-usage-stats",
        "print",
        "use-colors-file",
        "populate-cache",
        "log-cache-events",
    ),
    *("use-experimental-parser", "use-fast-test-edges", "write-json", "upgrade", "lock"),
    *("show-all-deprecations", "inject-ephemeral-ctes", "show-resource-report", "macro-debugging"),
    *("partial-parse-file-diff", "strict-mode", "single-threaded", "connection", "config-dir"),
    *(
        "record-timing-info",
        "validate-macro-args",
        "clean-project-files-only",
        "export-saved-queries",
    ),
    *("static", "add-package", "upload-to-artifacts-ingest-api"),
)
_OFF_ONLY = (
    *("defer", "favor-state", "fail-fast", "quiet", "warn-error", "debug", "full-refresh"),
    *("store-failures", "empty", "compile", "empty-catalog", "browser"),
)
_FOLLOWED = (
    *("log-format", "log-format-file", "log-level", "log-level-file", "log-path"),
    *("log-file-max-bytes", "printer-width", "warn-error-options", "partial-parse-file-path"),
    *("record-timing-info", "cache-dir", "event-buffer-size", "macro-debug"),
)
SILENT: Mapping[str, bool] = {
    **{f"--{each}": False for each in _ALONE},
    **{f"--no-{each}": False for each in (*_ALONE, *_OFF_ONLY)},
    **{f"--{each}": True for each in _FOLLOWED},
    "-r": True,
    "-S": False,
}


class CommandGroup(TyperGroup):
    """The group of all commands, which reads its words in dbt's way too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts the words in order first."""
        return super().parse_args(ctx, arranged(args, self))


def arranged(args: Sequence[str], group: Any) -> list[str]:
    """The command, then its options, one word each; without those that mean nothing here."""
    takes = _takes(group)
    early, path, rest = _divided(list(args), group, takes)
    command = _at(group, path)
    own, known = _options(group), _options(command)
    front = [each for option in early if option[0] in own for each in option]
    if command is group:
        return [*front, *(each for option in early if option[0] not in own for each in option)]
    moved = [o for o in early if o[0] not in own and (o[0] in known or o[0] not in takes)]
    behind = [*moved, *_read(rest, {**takes, **known})]
    return [*front, *path, *(each for option in behind for each in option)]


def _divided(
    args: list[str], group: Any, takes: Mapping[str, bool]
) -> tuple[list[list[str]], list[str], list[str]]:
    """The options before the command, the command's words, and what stands behind it."""
    early: list[list[str]] = []
    path: list[str] = []
    at: Any = group
    while args and hasattr(at, "commands"):
        if args[0].startswith("-"):
            count = _length(args, takes)
            early += _read(args[:count], takes)
            args = args[count:]
            continue
        word = _COMMANDS.get(args[0], args[0])
        args = args[1:]
        path.append(word)
        at = at.commands.get(word)
    return early, path, args


def _length(args: Sequence[str], takes: Mapping[str, bool]) -> int:
    name, equals, _ = args[0].partition("=")
    name = SAME.get(name, name)
    return 2 if not equals and SILENT.get(name, takes.get(name, False)) else 1


def _read(args: Sequence[str], takes: Mapping[str, bool]) -> Iterator[list[str]]:
    """Option by option, each with its word, and words that belong to none."""
    rest = list(args)
    while rest:
        word = rest.pop(0)
        if word == "--":
            yield from ([each] for each in (word, *rest))
            return
        name, equals, value = word.partition("=")
        name = SAME.get(name, name)
        if not word.startswith("-"):
            yield [word]
        elif name in SILENT and name not in takes:
            rest = rest[1:] if SILENT[name] and not equals else rest
        elif name in MANY:
            words = [value] if equals else []
            while rest and not rest[0].startswith("-"):
                words.append(rest.pop(0))
            yield from ([name, each] for each in words) if words else ([name],)
        elif equals and name.startswith("--"):
            yield [name, value] if takes.get(name, True) else [name]
        elif takes.get(name) and rest:
            yield [name, rest.pop(0)]
        else:
            yield [name]


def _at(group: Any, path: Sequence[str]) -> Any:
    at = group
    for word in path:
        at = getattr(at, "commands", {}).get(word)
    return at


def _options(command: Any) -> dict[str, bool]:
    """The options of a command, and whether a word follows each."""
    found: dict[str, bool] = {}
    for each in getattr(command, "params", ()):
        if each.param_type_name == "option":
            found |= dict.fromkeys((*each.opts, *each.secondary_opts), not each.is_flag)
    return found


def _takes(group: Any) -> dict[str, bool]:
    """The same of all commands together."""
    found: dict[str, bool] = {}
    for each in group.commands.values():
        found |= _takes(each) if hasattr(each, "commands") else _options(each)
    return found
