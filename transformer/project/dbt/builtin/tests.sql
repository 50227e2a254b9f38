{#- The four column tests, and the query around a test. -#}

{%- macro test_unique(model, column_name) -%}
  {{ return(adapter.dispatch('test_unique', 'dbt')(model, column_name)) }}
{%- endmacro -%}
{%- macro default__test_unique(model, column_name) -%}
select {{ column_name }} as unique_field, count(*) as n_records
from {{ model }}
where {{ column_name }} is not null
group by {{ column_name }}
having count(*) > 1
{%- endmacro -%}

{%- macro test_not_null(model, column_name) -%}
  {{ return(adapter.dispatch('test_not_null', 'dbt')(model, column_name)) }}
{%- endmacro -%}
{%- macro default__test_not_null(model, column_name) -%}
select {{ '*' if should_store_failures() else column_name }}
from {{ model }}
where {{ column_name }} is null
{%- endmacro -%}

{%- macro test_accepted_values(model, column_name, values, quote=True) -%}
  {{ return(adapter.dispatch('test_accepted_values', 'dbt')(model, column_name, values, quote)) }}
{%- endmacro -%}
{%- macro default__test_accepted_values(model, column_name, values, quote=True) -%}
{%- set border = "'" if quote else '' -%}
select *
from (
  select {{ column_name }} as value_field, count(*) as n_records
  from {{ model }}
  group by {{ column_name }}
) as found
where value_field not in (
  {%- for value in values -%}
    {{ ', ' if not loop.first }}{{ border }}{{ value }}{{ border }}
  {%- endfor -%}
)
{%- endmacro -%}

{%- macro test_relationships(model, column_name, to, field) -%}
  {{ return(adapter.dispatch('test_relationships', 'dbt')(model, column_name, to, field)) }}
{%- endmacro -%}
{%- macro default__test_relationships(model, column_name, to, field) -%}
select child.from_field
from (select {{ column_name }} as from_field from {{ model }}) as child
left join (select {{ field }} as to_field from {{ to }}) as parent
  on child.from_field = parent.to_field
where child.from_field is not null and parent.to_field is null
{%- endmacro -%}

{%- macro get_test_sql(main_sql, fail_calc, warn_if, error_if, limit) -%}
  {{ return(adapter.dispatch('get_test_sql', 'dbt')(main_sql, fail_calc, warn_if, error_if, limit)) }}
{%- endmacro -%}
{%- macro default__get_test_sql(main_sql, fail_calc, warn_if, error_if, limit) -%}
select
  {{ fail_calc }} as failures,
  {{ fail_calc }} {{ warn_if }} as should_warn,
  {{ fail_calc }} {{ error_if }} as should_error
from (
{{ main_sql }}
{{ 'limit ' ~ limit if limit is not none }}
) as dbt_internal_test
{%- endmacro -%}

{#- What a test reads: the relation, filtered by the test's `where`. -#}
{%- macro get_where_subquery(relation) -%}
  {{ return(adapter.dispatch('get_where_subquery', 'dbt')(relation)) }}
{%- endmacro -%}
{%- macro default__get_where_subquery(relation) -%}
  {%- set where = config.get('where', '') -%}
  {{ return('(select * from ' ~ relation ~ ' where ' ~ where ~ ') dbt_subquery' if where else relation) }}
{%- endmacro -%}

{%- macro should_store_failures() -%}
  {%- set own = config.get('store_failures') -%}
  {{ return(flags.STORE_FAILURES if own is none else own) }}
{%- endmacro -%}

{#- A row of a unit test as `{column: expression}`. -#}
{%- macro format_row(row, column_name_to_data_types) -%}
  {%- set expressions = {} -%}
  {%- for given, value in row.items() -%}
    {%- set column = given | lower -%}
    {%- if column not in column_name_to_data_types -%}
      {{ exceptions.raise_compiler_error(
        "There is no column '" ~ column ~ "' in " ~ model.name ~ ', which has '
        ~ column_name_to_data_types.keys() | join(', ')
      ) }}
    {%- endif -%}
    {%- set type = column_name_to_data_types[column] -%}
    {#- A text in a unit test may be longer than its column: it is not truncated. -#}
    {%- set type = type.split('(')[0] if value is string and 'varying' in type else type -%}
    {%- if value is string -%}
      {%- set literal = dbt.string_literal(dbt.escape_single_quotes(value)) -%}
    {%- else -%}
      {%- set literal = 'null' if value is none else value -%}
    {%- endif -%}
    {%- do expressions.update({column: dbt.safe_cast(literal, type)}) -%}
  {%- endfor -%}
  {{ return(expressions) }}
{%- endmacro -%}

{%- macro validate_fixture_rows(rows, row_number=none) -%}
  {{ return(adapter.dispatch('validate_fixture_rows', 'dbt')(rows, row_number)) }}
{%- endmacro -%}
{%- macro default__validate_fixture_rows(rows, row_number=none) -%}{%- endmacro -%}
