{#- Schema, name and database of a node: macros that projects often override. -#}

{%- macro generate_schema_name(custom_schema_name=none, node=none) -%}
  {{ return(adapter.dispatch('generate_schema_name', 'dbt')(custom_schema_name, node)) }}
{%- endmacro -%}
{%- macro default__generate_schema_name(custom_schema_name, node) -%}
  {{ target.schema }}{% if custom_schema_name is not none %}_{{ custom_schema_name | trim }}{% endif %}
{%- endmacro -%}

{#- The custom schema as written, in production only. -#}
{%- macro generate_schema_name_for_env(custom_schema_name, node) -%}
  {%- set own = target.name == 'prod' and custom_schema_name is not none -%}
  {{ custom_schema_name | trim if own else target.schema }}
{%- endmacro -%}

{%- macro generate_alias_name(custom_alias_name=none, node=none) -%}
  {{ return(adapter.dispatch('generate_alias_name', 'dbt')(custom_alias_name, node)) }}
{%- endmacro -%}
{%- macro default__generate_alias_name(custom_alias_name=none, node=none) -%}
  {%- set version = node.version | default(none) -%}
  {%- if custom_alias_name -%}
    {{ custom_alias_name | trim }}
  {%- elif version -%}
    {{ node.name }}_v{{ version | string | replace('.', '_') }}
  {%- else -%}
    {{ node.name }}
  {%- endif -%}
{%- endmacro -%}

{%- macro generate_database_name(custom_database_name=none, node=none) -%}
  {{ return(adapter.dispatch('generate_database_name', 'dbt')(custom_database_name, node)) }}
{%- endmacro -%}
{%- macro default__generate_database_name(custom_database_name=none, node=none) -%}
  {{ target.database if custom_database_name is none else custom_database_name }}
{%- endmacro -%}
