{#
  Relations without the database in front. DuckDB's database is the stem of the file, and a view
  that names it stops working in a copy: the published file bears another name.
#}
{% macro ref() -%}
    {% do return(builtins.ref(*varargs, **kwargs).include(database=false)) %}
{%- endmacro %}

{% macro source() -%}
    {% do return(builtins.source(*varargs).include(database=false)) %}
{%- endmacro %}
