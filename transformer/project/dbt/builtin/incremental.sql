{#- Updating a table with the rows of another. -#}

{%- macro should_full_refresh() -%}
  {%- set own = config.get('full_refresh') -%}
  {{ return(flags.FULL_REFRESH if own is none else own) }}
{%- endmacro -%}

{#- The strategies: each takes target_relation, temp_relation, unique_key, dest_columns and
    incremental_predicates in one dictionary, and returns the statements. -#}

{%- macro get_incremental_append_sql(arg_dict) -%}
  {{ return(adapter.dispatch('get_incremental_append_sql', 'dbt')(arg_dict)) }}
{%- endmacro -%}
{%- macro default__get_incremental_append_sql(arg_dict) -%}
  {{ return(get_insert_into_sql(arg_dict['target_relation'], arg_dict['temp_relation'], arg_dict['dest_columns'])) }}
{%- endmacro -%}

{%- macro get_incremental_delete_insert_sql(arg_dict) -%}
  {{ return(adapter.dispatch('get_incremental_delete_insert_sql', 'dbt')(arg_dict)) }}
{%- endmacro -%}
{%- macro default__get_incremental_delete_insert_sql(arg_dict) -%}
  {{ return(get_delete_insert_merge_sql(
    arg_dict['target_relation'],
    arg_dict['temp_relation'],
    arg_dict['unique_key'],
    arg_dict['dest_columns'],
    arg_dict['incremental_predicates'],
  )) }}
{%- endmacro -%}

{%- macro get_incremental_merge_sql(arg_dict) -%}
  {{ return(adapter.dispatch('get_incremental_merge_sql', 'dbt')(arg_dict)) }}
{%- endmacro -%}
{%- macro default__get_incremental_merge_sql(arg_dict) -%}
  {{ return(get_merge_sql(
    arg_dict['target_relation'],
    arg_dict['temp_relation'],
    arg_dict['unique_key'],
    arg_dict['dest_columns'],
    arg_dict['incremental_predicates'],
  )) }}
{%- endmacro -%}

{%- macro get_incremental_insert_overwrite_sql(arg_dict) -%}
  {{ return(adapter.dispatch('get_incremental_insert_overwrite_sql', 'dbt')(arg_dict)) }}
{%- endmacro -%}
{%- macro default__get_incremental_insert_overwrite_sql(arg_dict) -%}
  {{ return(get_insert_overwrite_merge_sql(
    arg_dict['target_relation'],
    arg_dict['temp_relation'],
    arg_dict['dest_columns'],
    arg_dict['incremental_predicates'],
  )) }}
{%- endmacro -%}

{%- macro get_incremental_default_sql(arg_dict) -%}
  {{ return(adapter.dispatch('get_incremental_default_sql', 'dbt')(arg_dict)) }}
{%- endmacro -%}
{%- macro default__get_incremental_default_sql(arg_dict) -%}
  {{ return(get_incremental_append_sql(arg_dict)) }}
{%- endmacro -%}
{%- macro duckdb__get_incremental_default_sql(arg_dict) -%}
  {{ return(get_incremental_delete_insert_sql(arg_dict)) }}
{%- endmacro -%}

{#- Replaces the rows of one time range. -#}
{%- macro get_incremental_microbatch_sql(arg_dict) -%}
  {{ return(adapter.dispatch('get_incremental_microbatch_sql', 'dbt')(arg_dict)) }}
{%- endmacro -%}
{%- macro duckdb__get_incremental_microbatch_sql(arg_dict) -%}
  {%- set time, batch = config.get('event_time'), model.batch | default({}) -%}
  {%- set start, end = (batch or {}).event_time_start, (batch or {}).event_time_end -%}
  {%- if not time or config.get('unique_key') -%}
    {%- do exceptions.raise_compiler_error('microbatch needs `event_time`, and takes no `unique_key`') -%}
  {%- elif not start or not end -%}
    {%- do exceptions.raise_compiler_error('microbatch needs the start and the end of a batch') -%}
  {%- endif -%}
  {%- set within = time ~ " >= '" ~ start ~ "' and " ~ time ~ " < '" ~ end ~ "'" -%}
  {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
  {%- set target, source = arg_dict['target_relation'], arg_dict['temp_relation'] -%}
delete from {{ target }} where {{ within }}{{ builtin__and_all(arg_dict.get('incremental_predicates')) }};
insert into {{ target }} ({{ columns }}) select {{ columns }} from {{ source }} where {{ within }};
{%- endmacro -%}

{%- macro get_insert_into_sql(target_relation, temp_relation, dest_columns) -%}
  {%- set columns = get_quoted_csv(dest_columns | map(attribute='name')) -%}
insert into {{ target_relation }} ({{ columns }}) (select {{ columns }} from {{ temp_relation }})
{%- endmacro -%}

{#- Conditions as `and (…) and (…)`; a single one may be a text. -#}
{%- macro builtin__and_all(conditions) -%}
  {%- for each in builtin__listed(conditions) %} and ({{ each }}){% endfor -%}
{%- endmacro -%}
{%- macro builtin__listed(value) -%}
  {{ return([] if not value else [value] if value is string else value | list) }}
{%- endmacro -%}

{#- Delete and insert. A list of keys contains columns; a text may be any expression. -#}

{%- macro get_delete_insert_merge_sql(target, source, unique_key, dest_columns, incremental_predicates) -%}
  {{ return(adapter.dispatch('get_delete_insert_merge_sql', 'dbt')(target, source, unique_key, dest_columns, incremental_predicates)) }}
{%- endmacro -%}
{%- macro default__get_delete_insert_merge_sql(target, source, unique_key, dest_columns, incremental_predicates) -%}
  {%- set key = builtin__listed(unique_key) | join(', ') -%}
  {%- if key %}
delete from {{ target }} as DBT_INTERNAL_DEST
where ({{ key }}) in (select ({{ key }}) from {{ source }} as DBT_INTERNAL_SOURCE)
  {{- builtin__and_all(incremental_predicates) }};
  {%- endif %}
{{ get_insert_into_sql(target, source, dest_columns) }}
{%- endmacro -%}
{%- macro duckdb__get_delete_insert_merge_sql(target, source, unique_key, dest_columns, incremental_predicates) -%}
  {%- if not unique_key or unique_key is string -%}
    {{ return(default__get_delete_insert_merge_sql(target, source, unique_key, dest_columns, incremental_predicates)) }}
  {%- endif -%}
  {%- set same = [] -%}
  {%- for key in unique_key -%}
    {%- do same.append('DBT_INTERNAL_SOURCE.' ~ key ~ ' = DBT_INCREMENTAL_TARGET.' ~ key) -%}
  {%- endfor %}
delete from {{ target }} as DBT_INCREMENTAL_TARGET
using {{ source }} as DBT_INTERNAL_SOURCE
where {{ same | join(' and ') }}{{ builtin__and_all(incremental_predicates) }};
{{ get_insert_into_sql(target, source, dest_columns) }}
{%- endmacro -%}

{#- Merge. -#}

{%- macro get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) -%}
  {%- set predicates = kwargs.get('predicates', incremental_predicates) -%}
  {{ return(adapter.dispatch('get_merge_sql', 'dbt')(target, source, unique_key, dest_columns, predicates)) }}
{%- endmacro -%}
{%- macro default__get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) -%}
  {%- set columns = get_quoted_csv(dest_columns | map(attribute='name')) -%}
  {%- set updated = get_merge_update_columns(config.get('merge_update_columns'), config.get('merge_exclude_columns'), dest_columns) -%}
{{ config.get('sql_header') or '' }}
merge into {{ target }} as DBT_INTERNAL_DEST
using {{ source }} as DBT_INTERNAL_SOURCE
on {{ builtin__merge_condition(unique_key, incremental_predicates) }}
  {%- if unique_key %}
when matched then update set {{ builtin__merge_assignments({}, updated) }}
  {%- endif %}
when not matched then insert ({{ columns }}) values ({{ builtin__merge_values(dest_columns) }})
{%- endmacro -%}

{#- With the options of dbt-duckdb: other columns to match, conditions, expressions to set. -#}
{%- macro duckdb__get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) -%}
  {%- if config.get('merge_clauses') -%}
    {%- do exceptions.raise_not_implemented('`merge_clauses` is not known here') -%}
  {%- endif -%}
  {%- set matched = builtin__listed(config.get('merge_on_using_columns')) or unique_key -%}
  {%- set expressions = config.get('merge_update_set_expressions') or {} -%}
  {%- set updated = [] -%}
  {%- for column in get_merge_update_columns(config.get('merge_update_columns'), config.get('merge_exclude_columns'), dest_columns) -%}
    {%- if column | replace('"', '') not in expressions -%}{%- do updated.append(column) -%}{%- endif -%}
  {%- endfor -%}
  {%- set columns = get_quoted_csv(dest_columns | map(attribute='name')) -%}
{{ config.get('sql_header') or '' }}
merge into {{ target }} as DBT_INTERNAL_DEST
using {{ source }} as DBT_INTERNAL_SOURCE
on {{ builtin__merge_condition(matched, incremental_predicates) }}
  {%- if matched and (expressions or updated) %}
when matched{{ builtin__and_all(config.get('merge_update_condition')) }} then update set {{ builtin__merge_assignments(expressions, updated) }}
  {%- endif %}
when not matched{{ builtin__and_all(config.get('merge_insert_condition')) }} then insert ({{ columns }}) values ({{ builtin__merge_values(dest_columns) }})
  {%- if config.get('merge_returning_columns') %}
returning {{ builtin__listed(config.get('merge_returning_columns')) | join(', ') }}
  {%- endif %}
{%- endmacro -%}

{%- macro builtin__merge_condition(keys, predicates) -%}
  {%- set same = [] -%}
  {%- for key in builtin__listed(keys) -%}
    {%- do same.append(get_merge_unique_key_match('DBT_INTERNAL_SOURCE.' ~ key, 'DBT_INTERNAL_DEST.' ~ key)) -%}
  {%- endfor -%}
  ({{ same | join(' and ') if same else 'false' }}{{ builtin__and_all(predicates) }})
{%- endmacro -%}

{%- macro get_merge_unique_key_match(source_unique_key, target_unique_key) -%}
  {{ return(adapter.dispatch('get_merge_unique_key_match', 'dbt')(source_unique_key, target_unique_key)) }}
{%- endmacro -%}
{%- macro default__get_merge_unique_key_match(source_unique_key, target_unique_key) -%}
  {{ return(equals(source_unique_key, target_unique_key) | trim) }}
{%- endmacro -%}

{%- macro builtin__merge_assignments(expressions, columns) -%}
  {%- set assignments = [] -%}
  {%- for column, expression in expressions.items() -%}{%- do assignments.append(column ~ ' = ' ~ expression) -%}{%- endfor -%}
  {%- for column in columns -%}{%- do assignments.append(column ~ ' = DBT_INTERNAL_SOURCE.' ~ column) -%}{%- endfor -%}
  {{ return(assignments | join(', ')) }}
{%- endmacro -%}

{%- macro builtin__merge_values(columns) -%}
  {%- set values = [] -%}
  {%- for column in columns -%}{%- do values.append('DBT_INTERNAL_SOURCE.' ~ adapter.quote(column.name)) -%}{%- endfor -%}
  {{ return(values | join(', ')) }}
{%- endmacro -%}

{%- macro get_merge_update_columns(merge_update_columns, merge_exclude_columns, dest_columns) -%}
  {{ return(adapter.dispatch('get_merge_update_columns', 'dbt')(merge_update_columns, merge_exclude_columns, dest_columns)) }}
{%- endmacro -%}
{%- macro default__get_merge_update_columns(merge_update_columns, merge_exclude_columns, dest_columns) -%}
  {%- if merge_update_columns and merge_exclude_columns -%}
    {%- do exceptions.raise_compiler_error('give merge_update_columns or merge_exclude_columns, not both') -%}
  {%- endif -%}
  {%- set left_out = builtin__listed(merge_exclude_columns) | map('lower') | list -%}
  {%- set others = [] -%}
  {%- for column in dest_columns if column.name | lower not in left_out -%}{%- do others.append(column.quoted) -%}{%- endfor -%}
  {{ return(builtin__listed(merge_update_columns) or others) }}
{%- endmacro -%}

{%- macro get_insert_overwrite_merge_sql(target, source, dest_columns, predicates, include_sql_header=false) -%}
  {{ return(adapter.dispatch('get_insert_overwrite_merge_sql', 'dbt')(target, source, dest_columns, predicates, include_sql_header)) }}
{%- endmacro -%}
{%- macro default__get_insert_overwrite_merge_sql(target, source, dest_columns, predicates, include_sql_header) -%}
  {%- do exceptions.raise_not_implemented('insert_overwrite replaces partitions, and this warehouse has none') -%}
{%- endmacro -%}
