{#- A check of the project's own: `- looks_like_email` under a column. -#}
{% test looks_like_email(model, column_name) %}
    select {{ column_name }}
    from {{ model }}
    where not regexp_full_match({{ column_name }}, '[^@\s]+@[^@\s]+\.[a-z]+')
{% endtest %}
