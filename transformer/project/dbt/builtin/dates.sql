{#- Dates and times. -#}

{%- macro current_timestamp() -%}
  {{ return(adapter.dispatch('current_timestamp', 'dbt')()) }}
{%- endmacro -%}
{%- macro duckdb__current_timestamp() -%}now(){%- endmacro -%}

{%- macro current_timestamp_backcompat() -%}
  {{ return(adapter.dispatch('current_timestamp_backcompat', 'dbt')()) }}
{%- endmacro -%}
{%- macro default__current_timestamp_backcompat() -%}current_timestamp::timestamp{%- endmacro -%}

{%- macro current_timestamp_in_utc_backcompat() -%}
  {{ return(adapter.dispatch('current_timestamp_in_utc_backcompat', 'dbt')()) }}
{%- endmacro -%}
{%- macro default__current_timestamp_in_utc_backcompat() -%}
  {{ return(current_timestamp_backcompat()) }}
{%- endmacro -%}

{%- macro snapshot_get_time() -%}
  {{ return(adapter.dispatch('snapshot_get_time', 'dbt')()) }}
{%- endmacro -%}
{%- macro duckdb__snapshot_get_time() -%}{{ current_timestamp() }}::timestamp{%- endmacro -%}

{%- macro get_snapshot_get_time_data_type() -%}
  {%- set described = get_column_schema_from_query('select ' ~ snapshot_get_time() ~ ' as at') -%}
  {{ return(described[0].dtype if described else none) }}
{%- endmacro -%}

{%- macro date(year, month, day) -%}
  {{ return(adapter.dispatch('date', 'dbt')(year, month, day)) }}
{%- endmacro -%}
{%- macro duckdb__date(year, month, day) -%}make_date({{ year }}, {{ month }}, {{ day }}){%- endmacro -%}

{%- macro date_trunc(datepart, date) -%}
  {{ return(adapter.dispatch('date_trunc', 'dbt')(datepart, date)) }}
{%- endmacro -%}
{%- macro default__date_trunc(datepart, date) -%}
  date_trunc('{{ datepart }}', {{ date }})
{%- endmacro -%}

{#- The number of parts may be an expression, hence the product. -#}
{%- macro dateadd(datepart, interval, from_date_or_timestamp) -%}
  {{ return(adapter.dispatch('dateadd', 'dbt')(datepart, interval, from_date_or_timestamp)) }}
{%- endmacro -%}
{%- macro duckdb__dateadd(datepart, interval, from_date_or_timestamp) -%}
  {%- set part = datepart | lower | trim -%}
  {%- set step = {'quarter': '3 month', 'week': '7 day'}.get(part, '1 ' ~ part) -%}
  ({{ from_date_or_timestamp }} + cast({{ interval }} as bigint) * interval {{ step }})
{%- endmacro -%}

{#- The number of part boundaries between the dates. DuckDB's weeks start on Monday; here they
    start on Sunday, and backwards over whole weeks the result is one too many, as with
    dbt-duckdb. -#}
{%- macro datediff(first_date, second_date, datepart) -%}
  {{ return(adapter.dispatch('datediff', 'dbt')(first_date, second_date, datepart)) }}
{%- endmacro -%}
{%- macro duckdb__datediff(first_date, second_date, datepart) -%}
  {%- set one, other = '(' ~ first_date ~ ')::timestamp', '(' ~ second_date ~ ')::timestamp' -%}
  {%- if datepart == 'week' -%}
    {%- set later = 'dayofweek(' ~ one ~ ') > dayofweek(' ~ other ~ ')' -%}
    (date_diff('day', {{ one }}, {{ other }}) // 7 + case
      when {{ one }} <= {{ other }} then case when {{ later }} then 1 else 0 end
      else case when {{ later }} then 0 else -1 end
    end)
  {%- else -%}
    (date_diff('{{ datepart }}', {{ one }}, {{ other }}))
  {%- endif -%}
{%- endmacro -%}

{%- macro last_day(date, datepart) -%}
  {{ return(adapter.dispatch('last_day', 'dbt')(date, datepart)) }}
{%- endmacro -%}
{%- macro duckdb__last_day(date, datepart) -%}
  {{ return(dbt.default_last_day(date, datepart)) }}
{%- endmacro -%}
{%- macro default_last_day(date, datepart) -%}
  {%- set next = dbt.dateadd(datepart, 1, dbt.date_trunc(datepart, date)) -%}
  cast({{ dbt.dateadd('day', -1, next) }} as date)
{%- endmacro -%}

{#- Series. -#}

{%- macro get_powers_of_two(upper_bound) -%}
  {{ return(adapter.dispatch('get_powers_of_two', 'dbt')(upper_bound)) }}
{%- endmacro -%}
{%- macro default__get_powers_of_two(upper_bound) -%}
  {%- if upper_bound <= 0 -%}
    {{ exceptions.raise_compiler_error('upper bound must be positive') }}
  {%- endif -%}
  {%- set bits = namespace(power=1) -%}
  {%- for _ in range(99) if bits.power < 99 and 2 ** bits.power < upper_bound -%}
    {%- set bits.power = bits.power + 1 -%}
  {%- endfor -%}
  {{ return(bits.power) }}
{%- endmacro -%}

{%- macro generate_series(upper_bound) -%}
  {{ return(adapter.dispatch('generate_series', 'dbt')(upper_bound)) }}
{%- endmacro -%}
{%- macro duckdb__generate_series(upper_bound) -%}
  select each as generated_number from generate_series(1, {{ upper_bound }}) as numbers(each)
{%- endmacro -%}

{%- macro get_intervals_between(start_date, end_date, datepart) -%}
  {{ return(adapter.dispatch('get_intervals_between', 'dbt')(start_date, end_date, datepart)) }}
{%- endmacro -%}
{%- macro default__get_intervals_between(start_date, end_date, datepart) -%}
  {%- set asked = run_query('select ' ~ dbt.datediff(start_date, end_date, datepart)) -%}
  {{ return(asked.columns[0].values()[0] if asked else 1) }}
{%- endmacro -%}

{#- Every part from the start to the end (exclusive). The count is part of the query, so that
    rendering does not query the warehouse. -#}
{%- macro date_spine(datepart, start_date, end_date) -%}
  {{ return(adapter.dispatch('date_spine', 'dbt')(datepart, start_date, end_date)) }}
{%- endmacro -%}
{%- macro duckdb__date_spine(datepart, start_date, end_date) -%}
  select *
  from (
    select {{ dbt.dateadd(datepart, 'steps.done', start_date) }} as date_{{ datepart }}
    from (
      select unnest(range({{ dbt.datediff(start_date, end_date, datepart) }})) as done
    ) as steps
  ) as spine
  where date_{{ datepart }} <= {{ end_date }}
{%- endmacro -%}

{#- Dates from the command line, computed in templates. -#}

{%- macro convert_datetime(date_str, date_fmt) -%}
  {%- set wrong = "The date '" ~ date_str ~ "' does not have the format '" ~ date_fmt ~ "'" -%}
  {%- set read = modules.datetime.datetime.strptime -%}
  {{ return(try_or_compiler_error(wrong, read, date_str.strip(), date_fmt)) }}
{%- endmacro -%}

{%- macro dates_in_range(start_date_str, end_date_str=none, in_fmt='%Y%m%d', out_fmt='%Y%m%d') -%}
  {%- set first = convert_datetime(start_date_str, in_fmt) -%}
  {%- set last = convert_datetime(start_date_str if end_date_str is none else end_date_str, in_fmt) -%}
  {%- if last < first -%}
    {{ exceptions.raise_compiler_error('The first date is after the last: ' ~ first ~ ', ' ~ last) }}
  {%- endif -%}
  {%- set dates = [] -%}
  {%- for number in range((last - first).days + 1) -%}
    {%- set date = first + modules.datetime.timedelta(days=number) -%}
    {%- do dates.append(date.strftime(out_fmt) if out_fmt else date) -%}
  {%- endfor -%}
  {{ return(dates) }}
{%- endmacro -%}

{%- macro partition_range(raw_partition_date, date_fmt='%Y%m%d') -%}
  {%- set ends = (raw_partition_date | string).split(',') -%}
  {%- if ends | length > 2 -%}
    {{ exceptions.raise_compiler_error('Write a date, or two with a comma between: ' ~ raw_partition_date) }}
  {%- endif -%}
  {{ return(dates_in_range(ends[0], ends[1] if ends | length == 2 else none, in_fmt=date_fmt)) }}
{%- endmacro -%}

{%- macro py_current_timestring() -%}
  {{ return(modules.datetime.datetime.now().strftime('%Y%m%d%H%M%S%f')) }}
{%- endmacro -%}
