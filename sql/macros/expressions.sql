{# The day of an instant in a time zone, the project's own unless said. #}
{% macro local_date(instant, zone=none) -%}
    cast({{ wall_clock(instant, zone or var("time_zone")) }} as date)
{%- endmacro %}

{# One name for a channel: the mapped one, else the channel in lower case, else unknown. #}
{% macro platform_name(mapped, channel) -%}
    coalesce({{ mapped }}, lower(nullif({{ trimmed(channel) }}, '')), 'unknown')
{%- endmacro %}

{# Whether a channel is the one that a row of the seed is of. #}
{% macro is_channel(channel, mapped) -%}
    lower({{ trimmed(channel) }}) = lower({{ mapped }})
{%- endmacro %}

{# One name for who wrote a message: the user, the bot, else as sent in lower case. #}
{% macro sender_name(sender_type) -%}
    case lower({{ trimmed(sender_type) }})
        when 'assistant' then 'bot'
        when 'customer' then 'user'
        else lower(nullif({{ trimmed(sender_type) }}, ''))
    end
{%- endmacro %}

{#
  One key out of three; two columns cannot hold the separator, so no two keys meet. The instant is
  written as all engines write one in UTC, without an offset of the session's.
#}
{% macro surrogate_key(source, id, instant) -%}
    md5(concat_ws(
        '|',
        {{ source }},
        {{ id }},
        concat(cast({{ wall_clock(instant, 'UTC') }} as {{ type_string() }}), '+00')
    ))
{%- endmacro %}

{# The seed `platforms`, whole, as one text. #}
{% macro all_platforms() -%}
    {{ listagg(
        "concat_ws('|', source, channel, platform)", "'|'",
        "order by " ~ by_code_point('source') ~ ", " ~ by_code_point('channel') ~ ", "
        ~ by_code_point('platform')
    ) }}
{%- endmacro %}

{# The present instant; a unit test puts its own in place of it. #}
{% macro present() -%}
    now()
{%- endmacro %}

{# How many whole seconds began after one instant and until another. #}
{% macro seconds_between(earlier, later) -%}
    cast((
        {{ epoch_microseconds(later) }} - {{ epoch_microseconds(later) }} % 1000000
        - {{ epoch_microseconds(earlier) }} + {{ epoch_microseconds(earlier) }} % 1000000
    ) / 1000000 as bigint)
{%- endmacro %}

{# One number by another as a double, each rounded once; null where the other is 0. #}
{% macro quotient(dividend, divisor) -%}
    cast({{ dividend }} as {{ type_double() }})
    / nullif(cast({{ divisor }} as {{ type_double() }}), 0)
{%- endmacro %}

{# The seconds from one instant to another, with what is left of one. #}
{% macro exact_seconds_between(earlier, later) -%}
    {{ quotient(epoch_microseconds(later) ~ ' - ' ~ epoch_microseconds(earlier), '1000000') }}
{%- endmacro %}

{# What is counted of a set of live conversations; `is_user` is true once for each user in it. #}
{% macro conversation_measures(is_user) -%}
    count(*) as conversations,
    count(case when {{ is_user }} then 1 end) as users,
    cast(sum(message_count) as bigint) as messages,
    coalesce(sum(cost_credit), 0) as credits,
    count(case when is_human_mode then 1 end) as human_mode_conversations,
    max(last_activity_at) as last_activity_at,
    {{ quotient('count(case when is_human_mode then 1 end)', 'count(is_human_mode)') }}
        as share_of_human_mode,
    count(case when {{ is_user }} and came_back then 1 end) as repeat_users,
    {{ quotient('sum(cost_credit)', 'count(cost_credit)') }} as credits_per_conversation,
    {{ quotient(
        'sum(case when message_count is not null then cost_credit end)',
        'sum(case when cost_credit is not null then message_count end)'
    ) }} as credits_per_message
{%- endmacro %}

{# What the transcripts of a set of live conversations tell, of those that were read. #}
{% macro transcript_measures() -%}
    count(case when has_transcript then 1 end) as transcripts,
    percentile_cont(0.5) within group (order by first_response_seconds)
        as median_first_response_seconds
{%- endmacro %}

{# A row's share of the whole; 0 for every row when the whole is 0. #}
{% macro share_of_whole(measure) -%}
    coalesce({{ quotient(measure, 'sum(' ~ measure ~ ') over ()') }}, 0)
{%- endmacro %}

{#
  What marts count together: a user of an API, or a conversation without one, as a number. Two that
  meet in one number are only counted anew together.
#}
{% macro party_of(source, user, id) -%}
    {{ number_of([source, user, 'case when ' ~ user ~ ' is null then ' ~ id ~ ' end']) }}
{%- endmacro %}

{# A number for a version of a conversation; a sum of them tells whether any is another. #}
{% macro reading_of(observed_at, deleted_at) -%}
    {{ number_of([observed_at, deleted_at]) }} % 4294967296
{%- endmacro %}
