{#- Creating, renaming and dropping relations. -#}

{%- macro create_schema(relation) -%}
  {{ return(adapter.dispatch('create_schema', 'dbt')(relation)) }}
{%- endmacro -%}
{%- macro duckdb__create_schema(relation) -%}
  {%- call statement('create_schema') -%}
    create schema if not exists {{ relation.without_identifier() }}
  {%- endcall -%}
{%- endmacro -%}

{%- macro drop_schema(relation) -%}
  {{ return(adapter.dispatch('drop_schema', 'dbt')(relation)) }}
{%- endmacro -%}
{%- macro duckdb__drop_schema(relation) -%}
  {%- call statement('drop_schema') -%}
    drop schema if exists {{ relation.without_identifier() }} cascade
  {%- endcall -%}
{%- endmacro -%}

{%- macro drop_schema_named(schema_name) -%}
  {{ return(adapter.dispatch('drop_schema_named', 'dbt')(schema_name)) }}
{%- endmacro -%}
{%- macro default__drop_schema_named(schema_name) -%}
  {%- do adapter.drop_schema(api.Relation.create(database=target.database, schema=schema_name)) -%}
{%- endmacro -%}

{#- Dropping. -#}

{%- macro get_drop_sql(relation) -%}
  {{ return(adapter.dispatch('get_drop_sql', 'dbt')(relation)) }}
{%- endmacro -%}
{%- macro default__get_drop_sql(relation) -%}
  drop {{ relation.type or 'table' }} if exists {{ relation.render() }} cascade
{%- endmacro -%}

{%- macro drop_table(relation) -%}
  {{ return(adapter.dispatch('drop_table', 'dbt')(relation)) }}
{%- endmacro -%}
{%- macro default__drop_table(relation) -%}drop table if exists {{ relation.render() }} cascade{%- endmacro -%}

{%- macro drop_view(relation) -%}
  {{ return(adapter.dispatch('drop_view', 'dbt')(relation)) }}
{%- endmacro -%}
{%- macro default__drop_view(relation) -%}drop view if exists {{ relation.render() }} cascade{%- endmacro -%}

{%- macro drop_relation(relation) -%}
  {{ return(adapter.dispatch('drop_relation', 'dbt')(relation)) }}
{%- endmacro -%}
{%- macro duckdb__drop_relation(relation) -%}
  {%- call statement('drop_relation', auto_begin=False) -%}{{ get_drop_sql(relation) }}{%- endcall -%}
{%- endmacro -%}

{%- macro drop_relation_if_exists(relation) -%}
  {%- if relation is not none -%}{%- do adapter.drop_relation(relation) -%}{%- endif -%}
{%- endmacro -%}

{#- Renaming and truncating. -#}

{%- macro get_rename_sql(relation, new_name) -%}
  {{ return(adapter.dispatch('get_rename_sql', 'dbt')(relation, new_name)) }}
{%- endmacro -%}
{%- macro default__get_rename_sql(relation, new_name) -%}
  alter {{ relation.type or 'table' }} {{ relation.render() }} rename to {{ adapter.quote(new_name) }}
{%- endmacro -%}

{%- macro get_rename_table_sql(relation, new_name) -%}
  {{ return(adapter.dispatch('get_rename_table_sql', 'dbt')(relation, new_name)) }}
{%- endmacro -%}
{%- macro default__get_rename_table_sql(relation, new_name) -%}
  alter table {{ relation.render() }} rename to {{ adapter.quote(new_name) }}
{%- endmacro -%}

{%- macro get_rename_view_sql(relation, new_name) -%}
  {{ return(adapter.dispatch('get_rename_view_sql', 'dbt')(relation, new_name)) }}
{%- endmacro -%}
{%- macro default__get_rename_view_sql(relation, new_name) -%}
  alter view {{ relation.render() }} rename to {{ adapter.quote(new_name) }}
{%- endmacro -%}

{%- macro rename_relation(from_relation, to_relation) -%}
  {{ return(adapter.dispatch('rename_relation', 'dbt')(from_relation, to_relation)) }}
{%- endmacro -%}
{%- macro duckdb__rename_relation(from_relation, to_relation) -%}
  {%- set kind = to_relation.type or from_relation.type or 'table' -%}
  {%- call statement('rename_relation') -%}
    alter {{ kind }} {{ from_relation.render() }} rename to {{ adapter.quote(to_relation.identifier) }}
  {%- endcall -%}
{%- endmacro -%}

{%- macro truncate_relation(relation) -%}
  {{ return(adapter.dispatch('truncate_relation', 'dbt')(relation)) }}
{%- endmacro -%}
{%- macro default__truncate_relation(relation) -%}
  {%- call statement('truncate_relation') -%}truncate table {{ relation.render() }}{%- endcall -%}
{%- endmacro -%}

{#- Names derived from a relation. A temporary relation has no schema. -#}

{%- macro make_intermediate_relation(base_relation, suffix='__dbt_tmp') -%}
  {{ return(adapter.dispatch('make_intermediate_relation', 'dbt')(base_relation, suffix)) }}
{%- endmacro -%}
{%- macro default__make_intermediate_relation(base_relation, suffix) -%}
  {{ return(base_relation.incorporate(path={'identifier': base_relation.identifier ~ suffix})) }}
{%- endmacro -%}

{%- macro make_temp_relation(base_relation, suffix='__dbt_tmp') -%}
  {{ return(adapter.dispatch('make_temp_relation', 'dbt')(base_relation, suffix)) }}
{%- endmacro -%}
{%- macro default__make_temp_relation(base_relation, suffix) -%}
  {{ return(default__make_intermediate_relation(base_relation, suffix)) }}
{%- endmacro -%}
{%- macro duckdb__make_temp_relation(base_relation, suffix) -%}
  {%- set name = base_relation.identifier ~ suffix ~ py_current_timestring() -%}
  {{ return(base_relation.incorporate(path={'database': none, 'schema': none, 'identifier': name})) }}
{%- endmacro -%}

{%- macro make_backup_relation(base_relation, backup_relation_type, suffix='__dbt_backup') -%}
  {{ return(adapter.dispatch('make_backup_relation', 'dbt')(base_relation, backup_relation_type, suffix)) }}
{%- endmacro -%}
{%- macro default__make_backup_relation(base_relation, backup_relation_type, suffix) -%}
  {%- set name = base_relation.identifier ~ suffix -%}
  {{ return(base_relation.incorporate(path={'identifier': name}, type=backup_relation_type)) }}
{%- endmacro -%}

{#- Lookup. -#}

{%- macro load_cached_relation(relation) -%}
  {{ return(adapter.get_relation(relation.database, relation.schema, relation.identifier)) }}
{%- endmacro -%}
{%- macro load_relation(relation) -%}{{ return(load_cached_relation(relation)) }}{%- endmacro -%}

{#- Whether it exists, and the relation. -#}
{%- macro get_or_create_relation(database, schema, identifier, type) -%}
  {{ return(adapter.dispatch('get_or_create_relation', 'dbt')(database, schema, identifier, type)) }}
{%- endmacro -%}
{%- macro default__get_or_create_relation(database, schema, identifier, type) -%}
  {%- set there = adapter.get_relation(database=database, schema=schema, identifier=identifier) -%}
  {%- if there -%}{{ return([true, there]) }}{%- endif -%}
  {%- set new = api.Relation.create(database=database, schema=schema, identifier=identifier, type=type) -%}
  {{ return([false, new]) }}
{%- endmacro -%}
