"""Incremental models, hooks, ephemeral models, `--empty` and what else there is of models."""

# ruff: noqa: ARG002 - a fixture may be wanted for what it does
from __future__ import annotations

import re
from pathlib import Path

import pytest
from dbt.tests.adapter.dbt_clone import test_dbt_clone as clone
from dbt.tests.adapter.dbt_show import test_dbt_show as show
from dbt.tests.adapter.ephemeral import test_ephemeral as ephemeral
from dbt.tests.adapter.hooks import test_model_hooks as hooks
from dbt.tests.adapter.hooks import test_run_hooks as run_hooks
from dbt.tests.adapter.incremental.test_incremental_microbatch import BaseMicrobatch
from dbt.tests.adapter.incremental.test_incremental_on_schema_change import (
    BaseIncrementalOnSchemaChange,
)
from dbt.tests.adapter.sample_mode.test_sample_mode import BaseSampleModeTest
from dbt.tests.util import check_relations_equal, run_dbt
from dbt_common.exceptions import DbtRuntimeError

from tests.dbt_suite import runner
from tests.dbt_suite.taking import take, without_zone

for _folder, _module, *_names in (
    ("empty", "test_empty", "BaseTestEmpty", "BaseTestEmptyInlineSourceRef"),
    ("empty", "test_empty", "BaseTestEmptySeedFlag", "MetadataWithEmptyFlag"),
    ("hooks", "test_model_hooks", "BaseHooksRefsOnSeeds"),
    ("hooks", "test_model_hooks", "BasePrePostModelHooksOnSeeds"),
    ("hooks", "test_model_hooks", "BasePrePostModelHooksOnSeedsPlusPrefixed"),
    ("hooks", "test_model_hooks", "BasePrePostModelHooksOnSeedsPlusPrefixedWhitespace"),
    ("hooks", "test_model_hooks", "BasePrePostModelHooksOnSnapshots"),
    ("hooks", "test_model_hooks", "BasePrePostSnapshotHooksInConfigKwargs"),
    ("hooks", "test_model_hooks", "BaseDuplicateHooksInConfigs"),
    ("incremental", "test_incremental_merge_exclude_columns", "BaseMergeExcludeColumns"),
    ("incremental", "test_incremental_predicates", "BaseIncrementalPredicates"),
    ("incremental", "test_incremental_predicates", "TestPredicatesDeleteInsert"),
    ("incremental", "test_incremental_unique_id", "BaseIncrementalUniqueKey"),
    ("dbt_show", "test_dbt_show", "BaseShowSqlHeader"),
    ("dbt_clone", "test_dbt_clone", "BaseCloneNotPossible"),
    ("dbt_clone", "test_dbt_clone", "BaseCloneSameSourceAndTarget"),
    ("persist_docs", "test_persist_docs", "BasePersistDocs", "BasePersistDocsColumnMissing"),
    ("persist_docs", "test_persist_docs", "BasePersistDocsAllColumnsMissing"),
    ("persist_docs", "test_persist_docs", "BasePersistDocsCommentOnQuotedColumn"),
    ("persist_docs", "test_persist_docs", "BasePersistDocsQuotedColumnCaseSensitive"),
    ("persist_docs", "test_persist_docs", "BasePersistDocsQuotedDescriptionNotAppliedOnMismatch"),
    ("query_comment", "test_query_comment", "BaseQueryComments", "BaseMacroQueryComments"),
    ("query_comment", "test_query_comment", "BaseMacroArgsQueryComments"),
    ("query_comment", "test_query_comment", "BaseMacroInvalidQueryComments"),
    ("query_comment", "test_query_comment", "BaseNullQueryComments", "BaseEmptyQueryComments"),
):
    globals().update(take(_folder, _module, *_names))


# ---------------------------------------------------------------- hooks
class OurTarget:
    """The suite expects the words of its Postgres profile in what hooks wrote."""

    def check_hooks(self, state, project, host, count=1):
        asked = {"count": count} if isinstance(self, hooks.BaseTestPrePost) else {}
        found = self.get_ctx_vars(state, project=project, **asked)
        for ctx in found if isinstance(found, list) else [found]:
            assert ctx["test_state"] == state
            assert ctx["target_name"] == "default"
            assert ctx["target_schema"] == project.test_schema
            assert ctx["target_threads"] == 4
            assert ctx["target_type"] == "duckdb"
            assert ctx["run_started_at"]
            assert ctx["invocation_id"]
            assert ctx["thread_id"].startswith(("Thread-", "MainThread"))


class Unvacuumed:
    """DuckDB's `vacuum` takes no table: the hooks outside the transaction analyze it."""

    word = "-"

    @pytest.fixture(scope="class")
    def project_config_update(self):
        outside = {"sql": "analyze {{ this.schema }}.on_model_hook", "transaction": False}
        return {
            "models": {
                "test": {
                    f"pre{self.word}hook": [hooks.MODEL_PRE_HOOK, outside],
                    f"post{self.word}hook": [outside, hooks.MODEL_POST_HOOK],
                }
            }
        }


class TestPrePostModelHooks(OurTarget, Unvacuumed, hooks.BasePrePostModelHooks):
    pass


class TestPrePostModelHooksUnderscores(OurTarget, Unvacuumed, hooks.BasePrePostModelHooks):
    word = "_"


class TestHookRefs(OurTarget, hooks.BaseHookRefs):
    pass


class TestPrePostModelHooksInConfig(OurTarget, hooks.BasePrePostModelHooksInConfig):
    pass


class TestPrePostModelHooksInConfigKwargs(OurTarget, hooks.BasePrePostModelHooksInConfigKwargs):
    pass


class TestPrePostModelHooksInConfigWithCount(
    OurTarget, hooks.BasePrePostModelHooksInConfigWithCount
):
    pass


class TestPrePostRunHooks(OurTarget, run_hooks.BasePrePostRunHooks):
    pass


class TestAfterRunHooks(run_hooks.BaseAfterRunHooks):
    """dbt-duckdb says DbtRuntimeError where dbt-postgres says DbtDatabaseError."""

    def test_missing_column_pre_hook(self, project):
        with pytest.raises(DbtRuntimeError):
            run_dbt(["run"], expect_pass=False)


# ---------------------------------------------------------------- ephemeral models
def _said(folder: str, name: str) -> str:
    """A query as it was written, without blanks and figures."""
    text = Path("target", folder, "test", "models", f"{name}.sql").read_text()
    text = re.sub(r"--.*", "", text).replace('"', "")
    text = re.sub(r"(__dbt__cte__(\w+)) as \2\b", r"\1", text)  # a name that dbt does not add
    return "".join(text.split()).replace(";", "")


class TestEphemeralMulti(ephemeral.BaseEphemeralMulti):
    """The suite compares the whole statement of Postgres's; here the query is compared: that of a
    view is the query itself, with its ephemeral parents put in once each and in their order."""

    def test_ephemeral_multi(self, project):
        run_dbt(["seed"])
        assert len(run_dbt(["run"])) == 3
        for name in ("dependent", "double_dependent", "super_dependent"):
            check_relations_equal(project.adapter, ["seed", name])
        query = _said("compiled", "double_dependent")
        assert query.startswith("with__dbt__cte__baseas(")
        assert query.count("__dbt__cte__baseas(") == 1
        assert query.count("__dbt__cte__base_copyas(select*from__dbt__cte__base") == 1
        assert query.index("__dbt__cte__baseas(") < query.index("__dbt__cte__base_copyas(")
        assert query.endswith("unionallselect*from__dbt__cte__base_copywheregender='Female'")


class TestEphemeralNested(ephemeral.BaseEphemeralNested):
    def test_ephemeral_nested(self, project):
        assert len(run_dbt(["run"])) == 2
        query = _said("compiled", "root_view")
        assert re.fullmatch(
            r"with__dbt__cte__ephemeral_level_twoas\(select\*from[\w.]*source_table\),"
            r"__dbt__cte__ephemeralas\(select\*from__dbt__cte__ephemeral_level_two\)"
            r"select\*from__dbt__cte__ephemeral",
            query,
        )


class TestEphemeralErrorHandling(ephemeral.BaseEphemeralErrorHandling):
    """The suite expects that what reads the wrong model is skipped; here the mistake is found
    before anything runs."""

    def test_ephemeral_error_handling(self, project):
        with pytest.raises(runner.Refused) as caught:
            run_dbt(["run"], expect_pass=False)
        assert "the adapter has no `invalid_method`" in str(caught.value)


# ---------------------------------------------------------------- columns that change
class TestIncrementalOnSchemaChange(BaseIncrementalOnSchemaChange):
    """The suite looks for `Compilation Error`, dbt's heading of it."""

    def test_run_incremental_fail_on_schema_change(self, project):
        select = "model_a incremental_fail"
        run_dbt(["run", "--models", select, "--full-refresh"])
        results = run_dbt(["run", "--models", select], expect_pass=False)
        assert "the columns of `incremental_fail` changed: +field2, −field3" in results[1].message


# ---------------------------------------------------------------- show
class TestShowLimit(show.BaseShowLimit):
    """The rows are counted. That the limit stands in the compiled text is dbt's way to it."""

    @pytest.mark.parametrize(
        ("args", "expected"), [([], 5), (["--limit", 3], 3), (["--limit", -1], 7)]
    )
    def test_limit(self, project, args, expected):
        run_dbt(["build"])
        inline = show.fixtures.models__second_ephemeral_model
        results = run_dbt(["show", "--inline", inline, *args])
        assert len(results.results[0].agate_table) == expected


class TestShowDoesNotHandleDoubleLimit(show.BaseShowDoesNotHandleDoubleLimit):
    """With dbt a limit in the query is an error, which is known as a fault; here it is none."""

    def test_double_limit_throws_syntax_error(self, project):
        results = run_dbt(["show", "--limit", "1", "--inline", "select 1 limit 1"])
        assert len(results.results[0].agate_table) == 1


# ---------------------------------------------------------------- clone
class TestCloneSameTargetAndState(clone.BaseCloneSameTargetAndState):
    """The suite expects results beside the message; here nothing is begun."""

    def test_clone_same_target_and_state(self, project, unique_schema, other_schema):
        project.create_test_schema(other_schema)
        self.run_and_save_state(project.project_root)
        with pytest.raises(runner.Refused) as caught:
            run_dbt(["clone", "--defer", "--state", "target"], expect_pass=False)
        assert "The state and target directories are the same: 'target'" in str(caught.value)


# ---------------------------------------------------------------- microbatch
class TestMicrobatch(BaseMicrobatch):
    """With dbt-duckdb a microbatch model has no `unique_key`."""

    @pytest.fixture(scope="class")
    def microbatch_model_sql(self):
        return BaseMicrobatch.microbatch_model_sql.__wrapped__(self).replace(
            "unique_key='id', ", ""
        )

    @pytest.fixture(scope="class")
    def input_model_sql(self):
        return without_zone(BaseMicrobatch.input_model_sql.__wrapped__(self))

    @pytest.fixture(scope="class")
    def insert_two_rows_sql(self, project):
        return without_zone(BaseMicrobatch.insert_two_rows_sql.__wrapped__(self, project))


class TestSampleMode(BaseSampleModeTest):
    @pytest.fixture(scope="class")
    def input_model_sql(self):
        return without_zone(BaseSampleModeTest.input_model_sql.__wrapped__(self))
