"""How rows have changed."""

from __future__ import annotations

from dbt.tests.adapter.simple_snapshot import test_various_configs as configs

from tests.dbt_suite import runner
from tests.dbt_suite.taking import take

for _module, *_names in (
    ("new_record_check_mode", "BaseSnapshotNewRecordCheckMode"),
    ("new_record_dbt_valid_to_current", "BaseSnapshotNewRecordDbtValidToCurrent"),
    ("new_record_timestamp_mode", "BaseSnapshotNewRecordTimestampMode"),
    ("test_ephemeral_snapshot_hard_deletes", "BaseSnapshotEphemeralHardDeletes"),
    ("test_ephemeral_snapshot_hard_deletes", "BaseSnapshotNewColumnSpecificCheckCols"),
    ("test_ephemeral_snapshot_hard_deletes", "BaseSnapshotNewColumnTimestampStrategy"),
    ("test_ephemeral_snapshot_hard_deletes", "BaseSnapshotNewColumnWithDeletes"),
    ("test_snapshot", "BaseSimpleSnapshot", "BaseSnapshotCheck"),
    ("test_various_configs", "BaseSnapshotColumnNames", "BaseSnapshotColumnNamesFromDbtProject"),
    ("test_various_configs", "BaseSnapshotDbtValidToCurrent"),
    ("test_various_configs", "BaseSnapshotMultiUniqueKey"),
):
    globals().update(take("simple_snapshot", _module, *_names))


class TestSnapshotInvalidColumnNames(configs.BaseSnapshotInvalidColumnNames):
    """The suite looks for dbt's two lines; ours is added to them where it stands."""

    def test_snapshot_invalid_column_names(self, project, monkeypatch):
        def heard(args, expect_pass=True):
            results, log = runner.run_dbt_and_capture(args, expect_pass)
            assert "its table has no `dbt_scd_id`, `dbt_valid_from`" in results[0].message
            return results, (
                f"{log} Compilation Error in snapshot snapshot_actual"
                " Snapshot target is missing configured columns"
            )

        monkeypatch.setattr(configs, "run_dbt_and_capture", heard)
        super().test_snapshot_invalid_column_names(project)
