{#- Lists that models loop over. `return` hands out the list itself, not its text. -#}
{% macro payment_methods() %}
    {{ return(['card', 'paypal', 'invoice']) }}
{% endmacro %}


{% macro shared_mailboxes() %}
    {{ return(['info@example.com', 'noreply@example.com']) }}
{% endmacro %}


{#- The words of a list as SQL: `'a', 'b'`. -#}
{% macro quoted(words) -%}
    '{{ words | join("', '") }}'
{%- endmacro %}
