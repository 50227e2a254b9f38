{#- Every form in which a silo writes a moment, as one TIMESTAMP (UTC). What fits none is null. -#}
{% macro standardize_date(column) -%}
    {%- set value = blank_to_null(column) -%}
    case
        -- 1704077212168: milliseconds since 1970
        when regexp_full_match({{ value }}, '\d{13}') then epoch_ms(try_cast({{ value }} as bigint))
        -- 01212020: month, day, year
        when regexp_full_match({{ value }}, '\d{8}') then try_strptime({{ value }}, '%m%d%Y')
        -- January 21 2020, else ISO: 2020-01-21 or 2020-01-21T10:30:00Z
        else coalesce(try_strptime({{ value }}, '%B %d %Y'), try_cast({{ value }} as timestamp))
    end
{%- endmacro %}


{#- The day on which the example plays. Not the clock: the same files give the same tables. -#}
{% macro today() -%}
    date '{{ var("today", "2024-07-01") }}'
{%- endmacro %}


{% macro days_since(column) -%}
    date_diff('day', {{ column }}, {{ today() }})
{%- endmacro %}


{#- On the target `scratch`, only the last 30 days: a quick look at a big table. -#}
{% macro only_recent_on_scratch(column) -%}
    {%- if target.name == 'scratch' -%}
        {{ column }} >= {{ today() }} - interval 30 day
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
