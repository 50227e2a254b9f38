{#- Text without spaces around it; what is empty or stands for "nothing" is null. -#}
{% macro blank_to_null(column) -%}
    nullif(nullif(trim({{ column }}::varchar), ''), 'n/a')
{%- endmacro %}


{#- One spelling per mailbox: lower case, without spaces and without a `+tag`. -#}
{% macro clean_email(column) -%}
    {%- set email -%}
        regexp_replace(lower({{ blank_to_null(column) }}), '\+[^@]*@', '@')
    {%- endset -%}
    -- Many people share some mailboxes; those say nothing about who someone is.
    case when {{ email }} not in ({{ quoted(shared_mailboxes()) }}) then {{ email }} end
{%- endmacro %}


{#- `ADA`, ` Ada` and `ada` are one name; names in mixed case stay as they are written. -#}
{% macro clean_name(column) -%}
    {%- set name = blank_to_null(column) -%}
    case
        when {{ name }} in (upper({{ name }}), lower({{ name }}))
            then list_aggregate(
                list_transform(
                    string_split({{ name }}, ' '),
                    lambda word: upper(word[1]) || lower(word[2:])
                ),
                'string_agg', ' '
            )
        else {{ name }}
    end
{%- endmacro %}


{#- `Summer Preview`, `Summer%20Preview ` and `summer-preview` are all `summer_preview`. -#}
{% macro slug(column) -%}
    regexp_replace(lower({{ blank_to_null(column) }}), '(%20|[^a-z0-9])+', '_', 'g')
{%- endmacro %}


{% macro euros(cents) -%}
    ({{ cents }} / 100)::decimal(12, 2)
{%- endmacro %}
