{#- The default implementations of dbt's macros, which projects and packages call by name. -#}

{%- macro default__any_value(expression) -%}any_value({{ expression }}){%- endmacro -%}

{%- macro default__date(year, month, day) -%}
  to_date('{{ modules.datetime.date(year, month, day).isoformat() }}', 'YYYY-MM-DD')
{%- endmacro -%}

{%- macro default__dateadd(datepart, interval, from_date_or_timestamp) -%}
  dateadd({{ datepart }}, {{ interval }}, {{ from_date_or_timestamp }})
{%- endmacro -%}

{%- macro default__datediff(first_date, second_date, datepart) -%}
  datediff({{ datepart }}, {{ first_date }}, {{ second_date }})
{%- endmacro -%}

{%- macro default__last_day(date, datepart) -%}{{ dbt.default_last_day(date, datepart) }}{%- endmacro -%}

{%- macro default__listagg(measure, delimiter_text, order_by_clause, limit_num) -%}
  {%- set order = ' within group (' ~ order_by_clause ~ ')' if order_by_clause else '' -%}
  {%- if limit_num -%}
    array_to_string(array_slice(array_agg({{ measure }}){{ order }}, 0, {{ limit_num }}), {{ delimiter_text }})
  {%- else -%}
    listagg({{ measure }}, {{ delimiter_text }}){{ order }}
  {%- endif -%}
{%- endmacro -%}

{%- macro default__split_part(string_text, delimiter_text, part_number) -%}
  split_part({{ string_text }}, {{ delimiter_text }}, {{ part_number }})
{%- endmacro -%}

{#- The numbers from 1, generated from their bits. -#}
{%- macro default__generate_series(upper_bound) -%}
  {%- set bits = range(dbt.get_powers_of_two(upper_bound)) | list -%}
  with p as (select 0 as generated_number union all select 1),
  unioned as (
    select {% for bit in bits %}p{{ bit }}.generated_number * power(2, {{ bit }}) + {% endfor %}1 as generated_number
    from {% for bit in bits %}p as p{{ bit }}{{ ' cross join ' if not loop.last }}{% endfor %}
  )
  select * from unioned where generated_number <= {{ upper_bound }} order by generated_number
{%- endmacro -%}

{%- macro default__date_spine(datepart, start_date, end_date) -%}
  {%- set count = dbt.get_intervals_between(start_date, end_date, datepart) -%}
  with rawdata as ({{ dbt.generate_series(count) }}),
  all_periods as (
    select ({{ dbt.dateadd(datepart, 'row_number() over (order by 1) - 1', start_date) }}) as date_{{ datepart }}
    from rawdata
  ),
  filtered as (select * from all_periods where date_{{ datepart }} <= {{ end_date }})
  select * from filtered
{%- endmacro -%}

{#- Default statements. -#}

{%- macro default__create_table_as(temporary, relation, sql) -%}
  {{ config.get('sql_header') or '' }}
  create {{ 'temporary ' if temporary }}table {{ relation.include(database=not temporary, schema=not temporary) }}
  {%- if config.get('contract').enforced and not temporary %}
    {{ get_assert_columns_equivalent(sql) }}
    {{ get_table_columns_and_constraints() }}
    {%- set sql = get_select_subquery(sql) -%}
  {%- endif %}
  as ({{ sql }});
{%- endmacro -%}

{%- macro default__create_view_as(relation, sql) -%}
  {{ config.get('sql_header') or '' }}
  create view {{ relation }}
  {%- if config.get('contract').enforced %}{{ get_assert_columns_equivalent(sql) }}{% endif %}
  as ({{ sql }});
{%- endmacro -%}

{%- macro default__create_schema(relation) -%}
  {%- call statement('create_schema') -%}create schema if not exists {{ relation.without_identifier() }}{%- endcall -%}
{%- endmacro -%}

{%- macro default__drop_schema(relation) -%}
  {%- call statement('drop_schema') -%}drop schema if exists {{ relation.without_identifier() }} cascade{%- endcall -%}
{%- endmacro -%}

{%- macro default__drop_relation(relation) -%}{{ duckdb__drop_relation(relation) }}{%- endmacro -%}

{%- macro default__rename_relation(from_relation, to_relation) -%}
  {%- call statement('rename_relation') -%}
    alter table {{ from_relation.render() }} rename to {{ adapter.quote(to_relation.identifier) }}
  {%- endcall -%}
{%- endmacro -%}

{%- macro default__post_snapshot(staging_relation) -%}{%- endmacro -%}
{%- macro default__snapshot_get_time() -%}{{ current_timestamp() }}{%- endmacro -%}
{%- macro default__get_batch_size() -%}{{ return(10000) }}{%- endmacro -%}
{%- macro default__get_binding_char() -%}{{ return('%s') }}{%- endmacro -%}
{%- macro default__get_create_index_sql(relation, index_dict) -%}{{ return(none) }}{%- endmacro -%}

{#- Aliases of defaults under the engine's prefix. -#}
{%- macro duckdb__get_incremental_merge_sql(arg_dict) -%}
  {{ return(default__get_incremental_merge_sql(arg_dict)) }}
{%- endmacro -%}

{#- Options given as a text or a list of texts, as a list. -#}
{%- macro normalize_string_or_list(raw, field_name) -%}
  {%- set wrong = field_name ~ ' is not a text or a list of texts' -%}
  {%- set listed = [] if raw is none else [raw] if raw is string else raw -%}
  {%- if listed is mapping or listed is not sequence or listed | reject('string') | list -%}
    {%- do exceptions.raise_compiler_error(wrong) -%}
  {%- endif -%}
  {{ return(listed | list) }}
{%- endmacro -%}
