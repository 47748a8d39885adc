{#
  What engines spell differently and dbt has no word for. Each has one meaning, equal to the last
  digit on every engine; hashes alone are an engine's own, and stay out of the marts.
#}

{# What a clock on a wall of that zone shows at an instant. #}
{% macro wall_clock(instant, zone) -%}
    {{ return(adapter.dispatch('wall_clock')(instant, zone)) }}
{%- endmacro %}

{% macro default__wall_clock(instant, zone) -%}
    ({{ instant }} at time zone '{{ zone }}')
{%- endmacro %}

{# Of a session in UTC, which the profile sees to. #}
{% macro spark__wall_clock(instant, zone) -%}
    from_utc_timestamp({{ instant }}, '{{ zone }}')
{%- endmacro %}

{# The microseconds from 1970 to an instant, as a bigint. #}
{% macro epoch_microseconds(instant) -%}
    {{ return(adapter.dispatch('epoch_microseconds')(instant)) }}
{%- endmacro %}

{% macro default__epoch_microseconds(instant) -%}
    epoch_us({{ instant }})
{%- endmacro %}

{% macro postgres__epoch_microseconds(instant) -%}
    cast(extract(epoch from {{ instant }}) * 1000000 as bigint)
{%- endmacro %}

{% macro spark__epoch_microseconds(instant) -%}
    unix_micros({{ instant }})
{%- endmacro %}

{# A number for some values, of 64 bits; nulls count. Quick to make and to look for. #}
{% macro number_of(values) -%}
    {{ return(adapter.dispatch('number_of')(values)) }}
{%- endmacro %}

{% macro default__number_of(values) -%}
    hash({{ values | join(', ') }})
{%- endmacro %}

{% macro postgres__number_of(values) -%}
    hash_record_extended(row({{ values | join(', ') }}), 0)
{%- endmacro %}

{% macro spark__number_of(values) -%}
    xxhash64({{ values | join(', ') }})
{%- endmacro %}

{# A text that sorts by its code points, whatever language the database sorts by. #}
{% macro by_code_point(text) -%}
    {{ return(adapter.dispatch('by_code_point')(text)) }}
{%- endmacro %}

{% macro default__by_code_point(text) -%}
    {{ text }}
{%- endmacro %}

{% macro postgres__by_code_point(text) -%}
    {{ text }} collate "C"
{%- endmacro %}

{# Binary floating point of 64 bits; dbt's type_float has 32 on some. #}
{% macro type_double() -%}
    {{ return(adapter.dispatch('type_double')()) }}
{%- endmacro %}

{% macro default__type_double() -%}
    double
{%- endmacro %}

{% macro postgres__type_double() -%}
    double precision
{%- endmacro %}

{# In place of dbt's own, which takes no order. #}
{% macro spark__listagg(measure, delimiter_text, order_by_clause, limit_num) -%}
    listagg({{ measure }}, {{ delimiter_text }}) within group ({{ order_by_clause }})
{%- endmacro %}
