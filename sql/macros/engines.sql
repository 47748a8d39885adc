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

{# A text without the spaces around it, of any kind that Unicode calls so (Zs). #}
{% macro trimmed(text) -%}
    {{ return(adapter.dispatch('trimmed')(text)) }}
{%- endmacro %}

{% macro default__trimmed(text) -%}
    trim(
        both '{{ " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
        ~ "\u2008\u2009\u200a\u202f\u205f\u3000" }}' from {{ text }}
    )
{%- endmacro %}

{# All of them are what it trims of its own accord, in half the time. #}
{% macro duckdb__trimmed(text) -%}
    trim({{ text }})
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

{#
  The first name, `account`, that links lead to from each `bot`. A relation of links holds them both
  ways, and each bot with itself.
#}
{% macro led_to(links) -%}
    {{ return(adapter.dispatch('led_to')(links)) }}
{%- endmacro %}

{% macro default__led_to(links) -%}
    with recursive together as (
        select source, bot, {{ by_code_point('bot') }} as other_bot
        from {{ links }}
        where bot = other_bot
        union
        select together.source, together.bot, links.other_bot
        from together
        inner join {{ links }} as links
            on together.source = links.source and together.other_bot = links.bot
    )

    select source, bot, min({{ by_code_point('other_bot') }}) as account
    from together
    group by source, bot
{%- endmacro %}

{# Not all that speaks Spark's SQL recurses: as many links, one after another, as nobody has. #}
{% macro spark__led_to(links) -%}
    {%- set rounds = 16 -%}
    with led_0 as (
        select source, bot, bot as account
        from {{ links }}
        where bot = other_bot
    ),

    {% for round in range(rounds) -%}
    led_{{ round + 1 }} as (
        select links.source, links.other_bot as bot, min(led.account) as account
        from led_{{ round }} as led
        inner join {{ links }} as links on led.source = links.source and led.bot = links.bot
        group by links.source, links.other_bot
    ){{ "," if not loop.last }}
    {% endfor %}

    select * from led_{{ rounds }}
{%- endmacro %}
