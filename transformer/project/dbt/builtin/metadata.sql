{#- Metadata of the warehouse. One schema covers all DuckDB databases. -#}

{%- macro information_schema_name(database) -%}
  {{ return(adapter.dispatch('information_schema_name', 'dbt')(database)) }}
{%- endmacro -%}
{%- macro default__information_schema_name(database) -%}system.information_schema{%- endmacro -%}

{%- macro list_schemas(database) -%}
  {{ return(adapter.dispatch('list_schemas', 'dbt')(database)) }}
{%- endmacro -%}
{%- macro duckdb__list_schemas(database) -%}
  {%- set within = " where lower(catalog_name) = '" ~ (database | lower) ~ "'" if database else '' -%}
  {{ return(run_query('select schema_name from system.information_schema.schemata' ~ within)) }}
{%- endmacro -%}

{%- macro check_schema_exists(information_schema, schema) -%}
  {{ return(adapter.dispatch('check_schema_exists', 'dbt')(information_schema, schema)) }}
{%- endmacro -%}
{%- macro duckdb__check_schema_exists(information_schema, schema) -%}
  {%- set sql -%}
    select count(*)
    from system.information_schema.schemata
    where lower(schema_name) = '{{ schema | lower }}'
      and lower(catalog_name) = '{{ information_schema.database | lower }}'
  {%- endset -%}
  {{ return(run_query(sql)) }}
{%- endmacro -%}

{%- macro list_relations_without_caching(schema_relation) -%}
  {{ return(adapter.dispatch('list_relations_without_caching', 'dbt')(schema_relation)) }}
{%- endmacro -%}
{%- macro duckdb__list_relations_without_caching(schema_relation) -%}
  {%- set sql -%}
    select
      table_catalog as database,
      table_name as name,
      table_schema as schema,
      case table_type when 'VIEW' then 'view' else 'table' end as type
    from system.information_schema.tables
    where lower(table_schema) = '{{ schema_relation.schema | lower }}'
    {%- if schema_relation.database %}
      and lower(table_catalog) = '{{ schema_relation.database | lower }}'
    {%- endif %}
  {%- endset -%}
  {{ return(run_query(sql)) }}
{%- endmacro -%}

{#- The tables whose schema and name match `like` patterns. -#}
{%- macro get_tables_by_pattern_sql(schema_pattern, table_pattern, exclude='', database=target.database) -%}
  {{ return(adapter.dispatch('get_tables_by_pattern_sql', 'dbt')(schema_pattern, table_pattern, exclude, database)) }}
{%- endmacro -%}
{%- macro default__get_tables_by_pattern_sql(schema_pattern, table_pattern, exclude='', database=target.database) -%}
select distinct
  table_schema as "table_schema",
  table_name as "table_name",
  case table_type when 'VIEW' then 'view' else 'table' end as "table_type"
from system.information_schema.tables
where table_schema ilike '{{ schema_pattern }}'
  and table_name ilike '{{ table_pattern }}'
  and table_name not ilike '{{ exclude }}'
  {%- if database %}
  and lower(table_catalog) = '{{ database | lower }}'
  {%- endif %}
{%- endmacro -%}

{#- All columns of all relations, with comments. -#}

{%- macro get_catalog(information_schema, schemas) -%}
  {{ return(adapter.dispatch('get_catalog', 'dbt')(information_schema, schemas)) }}
{%- endmacro -%}
{%- macro duckdb__get_catalog(information_schema, schemas) -%}
  {%- set wanted = [] -%}
  {%- for schema in schemas -%}{%- do wanted.append("'" ~ (schema | string | lower) ~ "'") -%}{%- endfor -%}
  {%- set within = 'lower(columns.schema_name) in (' ~ wanted | join(', ') ~ ')' if wanted else 'true' -%}
  {{ return(run_query(builtin__catalog_sql(information_schema.database, within))) }}
{%- endmacro -%}

{%- macro get_catalog_relations(information_schema, relations) -%}
  {{ return(adapter.dispatch('get_catalog_relations', 'dbt')(information_schema, relations)) }}
{%- endmacro -%}
{%- macro duckdb__get_catalog_relations(information_schema, relations) -%}
  {%- set wanted = [] -%}
  {%- for one in relations -%}
    {%- do wanted.append("('" ~ (one.schema | lower) ~ "', '" ~ (one.identifier | lower) ~ "')") -%}
  {%- endfor -%}
  {%- set pair = '(lower(columns.schema_name), lower(columns.table_name))' -%}
  {%- set within = pair ~ ' in (' ~ wanted | join(', ') ~ ')' if wanted else 'true' -%}
  {{ return(run_query(builtin__catalog_sql(information_schema.database, within))) }}
{%- endmacro -%}

{%- macro builtin__catalog_sql(database, within) -%}
select
  columns.database_name as table_database,
  columns.schema_name as table_schema,
  columns.table_name as table_name,
  if(views.view_oid is null, 'BASE TABLE', 'VIEW') as table_type,
  coalesce(tables.comment, views.comment) as table_comment,
  columns.column_name as column_name,
  columns.column_index as column_index,
  columns.data_type as column_type,
  columns.comment as column_comment,
  '' as table_owner
from duckdb_columns() as columns
left join duckdb_tables() as tables
  on tables.database_oid = columns.database_oid and tables.table_oid = columns.table_oid
left join duckdb_views() as views
  on views.database_oid = columns.database_oid and views.view_oid = columns.table_oid
where not columns.internal and {{ within }}
  {%- if database %} and lower(columns.database_name) = '{{ database | lower }}'{% endif %}
order by table_schema, table_name, column_index
{%- endmacro -%}

{#- Freshness of a source. -#}

{%- macro collect_freshness(source, loaded_at_field, filter) -%}
  {{ return(adapter.dispatch('collect_freshness', 'dbt')(source, loaded_at_field, filter)) }}
{%- endmacro -%}
{%- macro default__collect_freshness(source, loaded_at_field, filter) -%}
  {%- call statement('collect_freshness', fetch_result=True, auto_begin=False) -%}
    select max({{ loaded_at_field }}) as max_loaded_at, {{ current_timestamp() }} as snapshotted_at
    from {{ source }}
    {{ 'where ' ~ filter if filter }}
  {%- endcall -%}
  {{ return(load_result('collect_freshness')) }}
{%- endmacro -%}

{%- macro collect_freshness_custom_sql(source, loaded_at_query) -%}
  {{ return(adapter.dispatch('collect_freshness_custom_sql', 'dbt')(source, loaded_at_query)) }}
{%- endmacro -%}
{%- macro default__collect_freshness_custom_sql(source, loaded_at_query) -%}
  {%- call statement('collect_freshness_custom_sql', fetch_result=True, auto_begin=False) -%}
    select ({{ loaded_at_query }}) as max_loaded_at, {{ current_timestamp() }} as snapshotted_at
  {%- endcall -%}
  {{ return(load_result('collect_freshness_custom_sql')) }}
{%- endmacro -%}

{#- Previewing a query. -#}

{%- macro get_show_sql(compiled_code, sql_header, limit) -%}
  {{ sql_header or '' }}
{{ get_limit_subquery_sql(compiled_code, limit) }}
{%- endmacro -%}
{%- macro get_limit_subquery_sql(sql, limit) -%}
  {{ return(adapter.dispatch('get_limit_sql', 'dbt')(sql, limit)) }}
{%- endmacro -%}
{%- macro default__get_limit_sql(sql, limit) -%}
{{ sql }}
{{ 'limit ' ~ limit if limit is not none }}
{%- endmacro -%}

{%- macro validate_sql(sql) -%}
  {{ return(adapter.dispatch('validate_sql', 'dbt')(sql)) }}
{%- endmacro -%}
{%- macro default__validate_sql(sql) -%}
  {%- call statement('validate_sql') -%}explain {{ sql }}{%- endcall -%}
  {{ return(load_result('validate_sql')) }}
{%- endmacro -%}
