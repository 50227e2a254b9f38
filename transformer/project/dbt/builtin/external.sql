{#- Files written by models. -#}

{%- macro location_exists(location) -%}{{ return(adapter.location_exists(location)) }}{%- endmacro -%}

{%- macro write_to_file(relation, location, options) -%}
  {%- call statement('write_to_file') -%}
    copy {{ relation }} to '{{ location }}' ({{ options }})
  {%- endcall -%}
{%- endmacro -%}

{%- macro store_relation(plugin, relation, location, format, config) -%}
  {%- do adapter.store_relation(plugin, relation, [], location, format, config) -%}
{%- endmacro -%}

{#- The options of a model's file, including top-level `format` and `delimiter`. -#}
{%- macro render_write_options(config) -%}
  {%- set given = config.get('options') or {} -%}
  {%- if given is not mapping -%}
    {%- do exceptions.raise_compiler_error('`options` must be a dictionary') -%}
  {%- endif -%}
  {%- set options = {} -%}
  {%- for key, value in given.items() -%}{%- do options.update({key: render(value)}) -%}{%- endfor -%}
  {%- for key in ['format', 'delimiter'] if config.get(key) -%}
    {%- do options.update({key: render(config.get(key))}) -%}
  {%- endfor -%}
  {{ return(options) }}
{%- endmacro -%}

{#- The default location of a model: a file, or a folder if it is partitioned. -#}
{%- macro external_location(relation, config) -%}
  {%- set cut = (config.get('options') or {}).get('partition_by') -%}
  {%- set ending = '' if cut else '.' ~ (config.get('format') or 'parquet') -%}
  {{ adapter.external_root() }}/{{ relation.identifier }}{{ ending }}
{%- endmacro -%}

{#- Creates views of files written by models outside this run, so that they can be read. -#}
{%- macro register_upstream_external_models() -%}
  {%- set seen = [] -%}
  {%- for id in selected_resources if execute and id in graph['nodes'] -%}
    {%- for upstream in graph['nodes'][id]['depends_on']['nodes'] if upstream not in seen and upstream not in selected_resources -%}
      {%- do seen.append(upstream) -%}
      {%- set node = graph['nodes'].get(upstream) -%}
      {%- if node and node['config'].get('materialized') == 'external' -%}
        {%- do builtin__register_external_model(node) -%}
      {%- endif -%}
    {%- endfor -%}
  {%- endfor -%}
{%- endmacro -%}
{%- macro builtin__register_external_model(node) -%}
  {%- set relation = api.Relation.create(node['database'], node['schema'], node['alias']) -%}
  {%- set place = node['config'].get('location') or external_location(relation, node['config']) -%}
  {%- set read = adapter.external_read_location(place, render_write_options(node['config'])) -%}
  {%- do create_schema(relation) -%}
  {%- call statement('main', language='sql') -%}
    create or replace view {{ relation }} as (select * from '{{ read }}')
  {%- endcall -%}
{%- endmacro -%}
