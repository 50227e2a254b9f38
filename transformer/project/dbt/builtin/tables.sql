{#- Tables and views from queries, contracts, indexes, comments. -#}

{%- macro get_create_table_as_sql(temporary, relation, sql) -%}
  {{ return(adapter.dispatch('get_create_table_as_sql', 'dbt')(temporary, relation, sql)) }}
{%- endmacro -%}
{%- macro default__get_create_table_as_sql(temporary, relation, sql) -%}
  {{ return(create_table_as(temporary, relation, sql)) }}
{%- endmacro -%}

{%- macro create_table_as(temporary, relation, compiled_code, language='sql', partitioned_by=none, sorted_by=none) -%}
  {%- if language != 'sql' -%}
    {{ exceptions.raise_compiler_error('create_table_as takes SQL, not ' ~ language) }}
  {%- endif -%}
  {{ return(adapter.dispatch('create_table_as', 'dbt')(temporary, relation, compiled_code)) }}
{%- endmacro -%}
{%- macro duckdb__create_table_as(temporary, relation, sql) -%}
  {%- set name = relation.include(database=not temporary, schema=not temporary) -%}
  {%- set kind = 'temporary table' if temporary else 'table' -%}
  {{ builtin__get_contract_header(sql) }}
  {%- if builtin__has_contract() and not temporary %}
create {{ kind }} {{ name }} {{ get_table_columns_and_constraints() }};
insert into {{ name }} {{ get_column_names() }} (
{{ get_select_subquery(sql) }}
);
  {%- else %}
create {{ kind }} {{ name }} as (
{{ sql }}
);
  {%- endif -%}
{%- endmacro -%}

{%- macro get_create_view_as_sql(relation, sql) -%}
  {{ return(adapter.dispatch('get_create_view_as_sql', 'dbt')(relation, sql)) }}
{%- endmacro -%}
{%- macro default__get_create_view_as_sql(relation, sql) -%}
  {{ return(create_view_as(relation, sql)) }}
{%- endmacro -%}

{%- macro create_view_as(relation, sql) -%}
  {{ return(adapter.dispatch('create_view_as', 'dbt')(relation, sql)) }}
{%- endmacro -%}
{%- macro duckdb__create_view_as(relation, sql) -%}
  {{ builtin__get_contract_header(sql) }}
create view {{ relation.render() }} as (
{{ sql }}
);
{%- endmacro -%}

{%- macro get_create_sql(relation, sql) -%}
  {{ return(adapter.dispatch('get_create_sql', 'dbt')(relation, sql)) }}
{%- endmacro -%}
{%- macro default__get_create_sql(relation, sql) -%}
  {{ return(get_create_view_as_sql(relation, sql) if relation.is_view else get_create_table_as_sql(False, relation, sql)) }}
{%- endmacro -%}

{#- Contracts: the columns that a model's query must return. -#}

{%- macro builtin__has_contract() -%}
  {%- set contract = config.get('contract') -%}
  {{ return(contract.enforced | default(false) if contract else false) }}
{%- endmacro -%}

{#- Checks the contract, and returns the model's `sql_header`. -#}
{%- macro builtin__get_contract_header(sql) -%}
  {%- if builtin__has_contract() -%}{%- do get_assert_columns_equivalent(sql) -%}{%- endif -%}
  {{ return(config.get('sql_header') or '') }}
{%- endmacro -%}

{%- macro set_sql_header(config) -%}{%- do config.set('sql_header', caller()) -%}{%- endmacro -%}

{%- macro get_column_names() -%}
  {{ return(adapter.dispatch('get_column_names', 'dbt')()) }}
{%- endmacro -%}
{%- macro default__get_column_names() -%}
  {%- set names = [] -%}
  {%- for column in model['columns'].values() -%}
    {%- do names.append(adapter.quote(column['name']) if column.get('quote') else column['name']) -%}
  {%- endfor -%}
  ({{ names | join(', ') }})
{%- endmacro -%}

{%- macro get_select_subquery(sql) -%}
  {{ return(adapter.dispatch('get_select_subquery', 'dbt')(sql)) }}
{%- endmacro -%}
{%- macro default__get_select_subquery(sql) -%}
select {{ default__get_column_names()[1:-1] }}
from (
{{ sql }}
) as model_subq
{%- endmacro -%}

{%- macro get_table_columns_and_constraints() -%}
  {{ return(adapter.dispatch('get_table_columns_and_constraints', 'dbt')()) }}
{%- endmacro -%}
{%- macro default__get_table_columns_and_constraints() -%}
  {{ return(table_columns_and_constraints()) }}
{%- endmacro -%}
{%- macro table_columns_and_constraints() -%}
  {%- set columns = adapter.render_raw_columns_constraints(raw_columns=model['columns']) -%}
  {%- set rules = adapter.render_raw_model_constraints(raw_constraints=model['constraints']) -%}
  ({{ (columns + rules) | join(', ') }})
{%- endmacro -%}

{%- macro get_assert_columns_equivalent(sql) -%}
  {{ return(adapter.dispatch('get_assert_columns_equivalent', 'dbt')(sql)) }}
{%- endmacro -%}
{%- macro default__get_assert_columns_equivalent(sql) -%}
  {{ return(assert_columns_equivalent(sql)) }}
{%- endmacro -%}
{%- macro assert_columns_equivalent(sql) -%}
  {%- if not model['columns'] -%}{%- do exceptions.raise_contract_error([], []) -%}{%- endif -%}
  {%- set given = format_columns(get_column_schema_from_query(sql, config.get('sql_header'))) -%}
  {%- set wanted = format_columns(get_column_schema_from_query(get_empty_schema_sql(model['columns']))) -%}
  {%- set one = given | map(attribute='formatted') | sort | list -%}
  {%- set other = wanted | map(attribute='formatted') | sort | list -%}
  {%- if one != other -%}{%- do exceptions.raise_contract_error(wanted, given) -%}{%- endif -%}
{%- endmacro -%}

{%- macro format_columns(columns) -%}
  {%- set definitions = [] -%}
  {%- for column in columns -%}
    {%- do definitions.append(adapter.dispatch('format_column', 'dbt')(column)) -%}
  {%- endfor -%}
  {{ return(definitions) }}
{%- endmacro -%}
{%- macro default__format_column(column) -%}
  {%- set type = column.dtype -%}
  {{ return({'name': column.name, 'data_type': type, 'formatted': column.name.lower() ~ ' ' ~ type}) }}
{%- endmacro -%}

{#- Indexes. -#}

{%- macro get_create_index_sql(relation, index_dict) -%}
  {{ return(adapter.dispatch('get_create_index_sql', 'dbt')(relation, index_dict)) }}
{%- endmacro -%}
{%- macro duckdb__get_create_index_sql(relation, index_dict) -%}
  {%- set columns = index_dict['columns'] | join(', ') -%}
  {%- set name = local_md5(relation.render() ~ columns ~ py_current_timestring()) -%}
  create{{ ' unique' if index_dict.get('unique') }} index {{ adapter.quote(name) }} on {{ relation.render() }} ({{ columns }})
{%- endmacro -%}

{%- macro create_indexes(relation) -%}
  {{ return(adapter.dispatch('create_indexes', 'dbt')(relation)) }}
{%- endmacro -%}
{%- macro default__create_indexes(relation) -%}
  {%- for index in config.get('indexes') or [] -%}
    {%- do run_query(get_create_index_sql(relation, index)) -%}
  {%- endfor -%}
{%- endmacro -%}

{%- macro get_drop_index_sql(relation, index_name) -%}
  {{ return(adapter.dispatch('get_drop_index_sql', 'dbt')(relation, index_name)) }}
{%- endmacro -%}
{%- macro default__get_drop_index_sql(relation, index_name) -%}
  drop index {{ relation.without_identifier() }}.{{ adapter.quote(index_name) }}
{%- endmacro -%}

{%- macro get_show_indexes_sql(relation) -%}
  {{ return(adapter.dispatch('get_show_indexes_sql', 'dbt')(relation)) }}
{%- endmacro -%}
{%- macro default__get_show_indexes_sql(relation) -%}
  select index_name
  from duckdb_indexes()
  where lower(schema_name) = '{{ relation.schema | lower }}' and lower(table_name) = '{{ relation.identifier | lower }}'
{%- endmacro -%}

{%- macro drop_indexes_on_relation(relation) -%}
  {%- for row in run_query(get_show_indexes_sql(relation)) or [] -%}
    {%- do run_query(get_drop_index_sql(relation, row[0])) -%}
  {%- endfor -%}
{%- endmacro -%}

{#- Comments: descriptions stored in the warehouse. -#}

{%- macro alter_relation_comment(relation, relation_comment) -%}
  {{ return(adapter.dispatch('alter_relation_comment', 'dbt')(relation, relation_comment)) }}
{%- endmacro -%}
{%- macro duckdb__alter_relation_comment(relation, relation_comment) -%}
  comment on {{ relation.type or 'table' }} {{ relation.render() }} is '{{ relation_comment | replace("'", "''") }}';
{%- endmacro -%}

{%- macro alter_column_comment(relation, column_dict) -%}
  {{ return(adapter.dispatch('alter_column_comment', 'dbt')(relation, column_dict)) }}
{%- endmacro -%}
{%- macro duckdb__alter_column_comment(relation, column_dict) -%}
  {%- for name, column in column_dict.items() %}
comment on column {{ relation.render() }}.{{ adapter.quote(name) }} is '{{ (column['description'] or '') | replace("'", "''") }}';
  {%- endfor -%}
{%- endmacro -%}

{#- The described columns that exist; warns about others. -#}
{%- macro validate_doc_columns(relation, column_dict, existing_column_names) -%}
  {%- set there = existing_column_names | map('lower') | list -%}
  {%- set known, missing = {}, [] -%}
  {%- for name in column_dict -%}
    {%- if name | lower in there -%}
      {%- do known.update({name: column_dict[name]}) -%}
    {%- else -%}
      {%- do missing.append(name) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- if missing -%}
    {%- do exceptions.warn('described columns that ' ~ relation.render() ~ ' does not have: ' ~ missing | join(', ')) -%}
  {%- endif -%}
  {{ return(known) }}
{%- endmacro -%}

{%- macro persist_docs(relation, model, for_relation=true, for_columns=true) -%}
  {{ return(adapter.dispatch('persist_docs', 'dbt')(relation, model, for_relation, for_columns)) }}
{%- endmacro -%}
{%- macro default__persist_docs(relation, model, for_relation, for_columns) -%}
  {%- set wanted = config.get('persist_docs') or {} -%}
  {%- if for_relation and wanted.get('relation') and model['description'] -%}
    {%- do run_query(alter_relation_comment(relation, model['description'])) -%}
  {%- endif -%}
  {%- if for_columns and wanted.get('columns') and model['columns'] -%}
    {%- set there = get_list_of_column_names(adapter.get_columns_in_relation(relation)) -%}
    {%- set comment = alter_column_comment(relation, validate_doc_columns(relation, model['columns'], there)) -%}
    {%- if comment | trim -%}{%- do run_query(comment) -%}{%- endif -%}
  {%- endif -%}
{%- endmacro -%}
