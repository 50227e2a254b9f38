"""The whole project in the form of dbt's manifest: the node facts of templates, and everything else
that the published schema requires (macros, docs, checksums, exposures …)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from transformer.artifacts.kept import artifact_only_facts
from transformer.compile.dbt.facts import constraint_facts, files, within
from transformer.compile.dbt.graph import graph_facts, short_name
from transformer.compile.dbt.surface import GRAPH
from transformer.compile.nodes import CheckBody, Graph, ModelBody, Node
from transformer.plan.select.resources import Resource, Resources, things
from transformer.project.values import CheckSpec, Described, Freshness, MacroFile, Project

Facts = dict[str, Any]
_MACRO = re.compile(
    r"\{%[-+]?\s*(?P<kind>macro|test|data_test|materialization)\s+(?P<name>\w+).*?"
    r"\{%[-+]?\s*end(?P=kind)\s*[-+]?%\}",
    re.DOTALL,
)
_ADAPTER = re.compile(r"adapter\s*=\s*['\"](\w+)['\"]")
_DOCS = {"node_color": None, "show": True}
_COMMON_DEFAULTS: Facts = {
    "enabled": True, "alias": None, "schema": None, "database": None, "tags": [], "meta": {},
    "group": None, "incremental_strategy": None, "persist_docs": {}, "quoting": {},
    "column_types": {}, "full_refresh": None, "unique_key": None, "on_schema_change": "ignore",
    "on_configuration_change": "apply", "grants": {}, "packages": [], "event_time": None,
    "pre_hook": [], "post_hook": [], "batch_size": None, "lookback": 1, "begin": None,
    "concurrent_batches": None, "static_analysis": None,
    "docs": {"node_color": None, "show": True},
    "contract": {"enforced": False, "alias_types": True},
}  # fmt: skip
# dbt's defaults of options.
_DEFAULTS: Mapping[str, Facts] = {
    "model": {**_COMMON_DEFAULTS, "materialized": "view", "access": "protected", "freshness": None,
              "on_error": None, "latest_version_pointer": {"enabled": None, "alias": None}},
    "seed": {**_COMMON_DEFAULTS, "materialized": "seed", "delimiter": ",", "quote_columns": None},
    "snapshot": {**_COMMON_DEFAULTS, "materialized": "snapshot", "target_schema": None,
                 "target_database": None, "invalidate_hard_deletes": False,
                 "dbt_valid_to_current": None},
}  # fmt: skip
# Keys of nodes in templates that are not in the manifest's schema.
_TEMPLATE_ONLY = ("raw_sql", "rendered")


def manifest_sections(graph: Graph, project: Project, moment: float) -> Facts:
    """`nodes`, `sources`, `macros`, `exposures` … `parent_map`, `child_map`, `group_map`."""
    facts, resources = graph_facts(graph, project), things(graph, project)
    nodes = {
        i: node_entry(graph[i], facts["nodes"][i], resources, project)
        for i in facts["nodes"]
        if resources.by_id[i].kind not in ("unit_test", "function")
    }
    functions = {
        resource.id: node_entry(resource.node, facts["nodes"][resource.id], resources, project)
        | _signature(resource.node)
        for resource in resources
        if resource.kind == "function" and resource.node
    }
    sources = {
        i: _source(graph[i], entry, resources, project) for i, entry in facts["sources"].items()
    }
    artifact_only = artifact_only_facts(project, graph, moment)
    for entry in artifact_only["exposures"].values():
        entry["refs"], entry["sources"] = references(
            entry["depends_on"]["nodes"], entry["package_name"], resources
        )
    for entry in nodes.values():
        attached = nodes.get(entry.get("attached_node") or "", {})
        if attached.get("group") and not entry.get("group"):
            entry["group"] = attached["group"]  # a test is of its model's group
    for entry in (*nodes.values(), *functions.values(), *sources.values()):
        entry["created_at"] = moment
    ids = [
        *nodes,
        *functions,
        *sources,
        *(i for entries in artifact_only.values() for i in entries),
    ]
    parents, children = _maps(resources, ids)
    return {
        "nodes": nodes,
        "sources": sources,
        "macros": macros(project, moment),
        **artifact_only,
        "parent_map": parents,
        "child_map": children,
        "group_map": _groups(nodes),
        "functions": functions,
    }


def _signature(node: Node) -> Facts:
    """The arguments and return type of a user-defined function."""
    config = node.options
    return {
        "arguments": list(config.get("arguments") or ()),
        "returns": {"data_type": config.get("returns"), "description": ""},
    }


def flat(graph: Graph, project: Project, moment: float) -> Facts:
    """The value of `graph` in templates: the same facts, without the maps."""
    facts = manifest_sections(graph, project, moment)
    return {name: facts[name] for name in GRAPH}


def _maps(
    resources: Resources, ids: list[str]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    id_set = set(ids)
    parents = {
        i: [n for n in resources.by_id[i].needs if n in id_set] if i in resources.by_id else []
        for i in ids
    }
    children: dict[str, list[str]] = {i: [] for i in ids}
    for child, needs in parents.items():
        for need in needs:
            children[need].append(child)
    return parents, children


def _groups(nodes: Mapping[str, Facts]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for node_id, node in nodes.items():
        if node.get("group"):
            groups.setdefault(str(node["group"]), []).append(node_id)
    return groups


def node_entry(node: Node, facts: Facts, resources: Resources, project: Project) -> Facts:
    """A model, seed, snapshot or test with all keys of its schema."""
    config = facts.get("config") or {}
    kind = facts["resource_type"]
    entry = {key: value for key, value in facts.items() if key not in _TEMPLATE_ONLY}
    entry |= _places(node, resources.by_id[node.id], project)
    entry |= {
        "alias": facts.get("alias") or node.name,
        "checksum": _checksum(facts, node),
        "config": _with_hooks({**_DEFAULTS.get(kind, {}), **_plain_config(config)}),
        "meta": {**(facts.get("meta") or {}), **(config.get("meta") or {})},
        "unrendered_config": {},
        "docs": {**_DOCS, **(config.get("docs") or {})},
        "group": config.get("group"),
        "tags": list(node.tags),
        "doc_blocks": [],
        "build_path": None,
        "columns": _columns(facts.get("columns") or {}),
    }
    if kind == "seed":
        entry |= {"root_path": project.root, "depends_on": {"macros": []}}
        for key in ("compiled_code", "version"):
            entry.pop(key, None)
        return entry
    entry |= _compiled(node, facts, resources)
    if kind == "model":
        return entry | {
            "access": str(config.get("access") or "protected"),
            "constraints": [
                {**constraint_facts(constraint), "columns": list(constraint.get("columns") or ())}
                for constraint in node.described.constraints
            ],
            "primary_key": _primary_key(node),
        }
    for key in ("version", "latest_version", "deprecation_date", "time_spine"):
        entry.pop(key, None)
    if kind == "test" and facts.get("test_metadata") is None:
        for key in ("column_name", "attached_node", "file_key_name", "test_metadata"):
            entry.pop(key, None)
    return entry


def _compiled(node: Node, facts: Facts, resources: Resources) -> Facts:
    """The keys of a node with a query."""
    refs, sources = references(node.needs, node.package or resources.root, resources)
    body = node.body
    query = body.query if isinstance(body, ModelBody | CheckBody) else None
    return {
        "language": facts.get("language") or "sql",
        "refs": refs,
        "sources": sources,
        "metrics": [],
        "functions": [],
        "compiled": query is not None,
        "compiled_path": None,
        "extra_ctes": [],
        "extra_ctes_injected": True,
        "contract": _contract(facts.get("config") or {}),
    }


def _source(node: Node, facts: Facts, resources: Resources, project: Project) -> Facts:
    rule = getattr(getattr(node.body, "table", None), "freshness", None)
    return {
        **facts,
        **_places(node, resources.by_id[node.id], project),
        "path": facts["original_file_path"],
        "patch_path": None,
        "source_description": node.described.facts.get("source_description", ""),
        "source_meta": dict(node.described.facts.get("source_meta") or {}),
        "unrendered_database": None,
        "unrendered_schema": None,
        "loaded_at_field": rule.field or None if rule else None,
        "loaded_at_query": rule.query or None if rule else None,
        "external": (facts.get("config") or {}).get("external"),
        "columns": _columns(facts.get("columns") or {}),
        "config": _source_config(node, facts, rule),
        "freshness": _rules(node),
        "quoting": {**_UNQUOTED, **(node.described.facts.get("quoting") or {})},
        "unrendered_config": {},
        "doc_blocks": [],
    }


_UNQUOTED: Facts = {"database": None, "schema": None, "identifier": None, "column": None}


def _source_config(node: Node, facts: Facts, rule: Freshness | None) -> Facts:
    config = facts.get("config") or {}
    defaults = {
        "enabled": True,
        "event_time": None,
        "freshness": _rules(node),
        "loaded_at_field": rule.field or None if rule else None,
        "loaded_at_query": rule.query or None if rule else None,
        "meta": facts["meta"],
        "tags": facts["tags"],
    }
    other_options = {k: v for k, v in config.items() if k not in ("loader", "external", *defaults)}
    return {**defaults, **_plain_config(other_options)}


def _every_check(described: Described) -> Iterator[CheckSpec]:
    yield from described.checks
    for column in described.columns:
        yield from column.checks


def _primary_key(node: Node) -> list[str]:
    """The primary key as dbt infers it: from a constraint, else from tests."""
    described = node.described
    for constraint in described.constraints:
        if constraint.get("type") == "primary_key":
            return list(constraint.get("columns") or ())
    for column in described.columns:
        if any(constraint.get("type") == "primary_key" for constraint in column.constraints):
            return [column.name]
    unique: dict[str, None] = {}
    filled: set[str] = set()
    for check in _every_check(described):
        kind = check.kind.rpartition(".")[2]
        column_name = check.args.get("column_name") or check.column
        columns = (
            [str(column_name)] if column_name else check.args.get("combination_of_columns") or ()
        )
        if kind in ("unique", "unique_combination_of_columns"):
            unique |= dict.fromkeys(map(str, columns))
        elif kind == "not_null":
            filled |= set(map(str, columns))
    return [column for column in unique if column in filled] or list(unique)


def _rules(node: Node) -> Facts | None:
    rule = getattr(getattr(node.body, "table", None), "freshness", None)
    if rule is None:
        return None
    return criteria(rule.warn_after, rule.error_after, rule.filter)


def criteria(warn: int | None, error: int | None, narrowed: str | None) -> Facts:
    """Freshness rules in dbt's form."""
    return {"warn_after": _after(warn), "error_after": _after(error), "filter": narrowed}


def _after(seconds: int | None) -> Facts:
    if seconds is None:
        return {"count": None, "period": None}
    for period, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds % length == 0:
            return {"count": seconds // length, "period": period}
    return {"count": max(1, round(seconds / 60)), "period": "minute"}


def _places(node: Node, resource: Resource, project: Project) -> Facts:
    """Paths as in dbt, relative to the package's folder."""
    yaml_path = node.described.where.path if node.described.where else ""
    package = node.package or project.name
    places: Facts = {
        **files(node.path, node.package, project),
        "fqn": list(resource.fqn),
        "patch_path": f"{package}://{within(yaml_path, node.package, project)}"
        if yaml_path
        else None,
    }
    if isinstance(node.body, CheckBody) and node.body.on is not None:
        places |= {"path": f"{short_name(node)}.sql", "patch_path": None}
    return places


def _checksum(facts: Facts, node: Node) -> Facts:
    seed = getattr(node.body, "seed", None)
    if seed is not None:
        return {"name": "sha256", "checksum": seed.digest}
    code = " ".join(str(facts.get("raw_code") or "").split())  # as in dbt, layout does not count
    return {"name": "sha256", "checksum": hashlib.sha256(code.encode()).hexdigest()}


def _plain_config(config: Mapping[str, Any]) -> Facts:
    """The configuration with tuples and sets as lists, and hooks as mappings."""
    options = {key.replace("-", "_"): _as_list(value) for key, value in config.items()}
    for key in ("pre_hook", "post_hook"):
        hooks = options.get(key)
        if hooks is not None:
            hook_list = hooks if isinstance(hooks, list) else [hooks]
            options[key] = [
                hook if isinstance(hook, Mapping) else {"sql": str(hook)} for hook in hook_list
            ]
    contract = options.get("contract")
    if contract is not None:
        contract_options = (
            contract if isinstance(contract, Mapping) else {"enforced": bool(contract)}
        )
        options["contract"] = {"alias_types": True, **contract_options}
    return options


def _with_hooks(config: Facts) -> Facts:
    """Hooks under both of dbt's spellings: macros read one, the published schema has the other."""
    hooks = {k.replace("_", "-"): config[k] for k in ("pre_hook", "post_hook") if k in config}
    return {**config, **hooks}


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple | set | frozenset) else value


def _contract(config: Mapping[str, Any]) -> Facts:
    written = config.get("contract")
    enforced = written.get("enforced") if isinstance(written, Mapping) else written
    return {"enforced": bool(enforced), "alias_types": True, "checksum": None}


def _columns(columns: Mapping[str, Any]) -> Facts:
    return {
        name: {
            **column,
            "quote": column.get("quote") or None,
            "config": {"meta": column.get("meta") or {}, "tags": column.get("tags") or []},
            "doc_blocks": [],
            "dimension": None,
            "entity": None,
        }
        for name, column in columns.items()
    }


def _written_version(node: Node) -> Any:
    """A model's version as in YAML, a number or text; None if it has none."""
    return node.described.facts.get("version", node.version) if node.version else None


def references(
    needs: Sequence[str], package: str, resources: Resources
) -> tuple[list[Facts], list[list[str]]]:
    """The inputs of a node of the package, as the arguments of `ref` and `source`."""
    refs: list[Facts] = []
    sources: list[list[str]] = []
    for need in needs:
        resource = resources.by_id.get(need)
        if resource is None or resource.node is None:
            continue
        if resource.kind == "source":
            sources.append([resource.node.name.partition(".")[0], resource.name])
        elif resource.kind in ("model", "seed", "snapshot"):
            other = resource.package if resource.package != package else None
            version = _written_version(resource.node)
            refs.append({"name": resource.name, "package": other, "version": version})
    return refs, sources


def macros(project: Project, moment: float = 0.0) -> Facts:
    """All macros by id, as written."""
    by_id: Facts = {}
    for file in project.macros:
        for name, text in _macros_of(file):
            package = file.package or project.name
            path = within(file.path, file.package, project)
            by_id[f"macro.{package}.{name}"] = {
                "name": name,
                "resource_type": "macro",
                "package_name": package,
                "path": path,
                "original_file_path": path,
                "unique_id": f"macro.{package}.{name}",
                "macro_sql": text,
                "depends_on": {"macros": []},
                "description": "",
                "meta": {},
                "docs": dict(_DOCS),
                "patch_path": None,
                "arguments": [],
                "created_at": moment,
                "supported_languages": None,
            }
    for macro in by_id.values():
        macro["depends_on"] = {"macros": list(_called(macro, by_id))}
    return by_id


def _macros_of(file: MacroFile) -> Iterator[tuple[str, str]]:
    for match in _MACRO.finditer(file.text):
        name = match["name"]
        if match["kind"] in ("test", "data_test"):
            name = f"test_{name}"
        elif match["kind"] == "materialization":
            adapter = _ADAPTER.search(match[0].partition("%}")[0])
            name = f"materialization_{name}_{adapter[1] if adapter else 'default'}"
        yield name, match[0]


def _called(macro: Facts, macro_ids: Mapping[str, Any]) -> Iterator[str]:
    """The macros that a macro calls by name, or dispatches to."""
    text, own_package = macro["macro_sql"], macro["package_name"]
    names = set(re.findall(r"(?:(\w+)\.)?(\w+)\s*\(", text))
    names |= {("", f"{form}__{name}") for name in re.findall(r"dispatch\(\s*['\"](\w+)", text)
              for form in ("duckdb", "default")}  # fmt: skip
    for package, name in sorted(names):
        for candidate in dict.fromkeys((package or own_package, own_package, "dbt")):
            if (
                f"macro.{candidate}.{name}" in macro_ids
                and f"macro.{candidate}.{name}" != macro["unique_id"]
            ):
                yield f"macro.{candidate}.{name}"
                break
