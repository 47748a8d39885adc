{# The day of an instant in the project's time zone. #}
{% macro local_date(instant) -%}
    cast({{ instant }} at time zone '{{ var("time_zone") }}' as date)
{%- endmacro %}

{# One name for a channel: the mapped one, else the channel in lower case, else unknown. #}
{% macro platform_name(mapped, channel) -%}
    coalesce({{ mapped }}, lower(nullif(trim({{ channel }}), '')), 'unknown')
{%- endmacro %}

{# One name for who wrote a message: the user, the bot, else as sent in lower case. #}
{% macro sender_name(sender_type) -%}
    case lower(trim({{ sender_type }}))
        when 'assistant' then 'bot'
        when 'customer' then 'user'
        else lower(nullif(trim({{ sender_type }}), ''))
    end
{%- endmacro %}

{# One key out of three; two columns cannot hold the separator, so no two keys meet. #}
{% macro surrogate_key(source, id, instant) -%}
    md5(concat_ws('|', {{ source }}, {{ id }}, cast({{ instant }} as varchar)))
{%- endmacro %}

{# The present instant; a unit test puts its own in place of it. #}
{% macro present() -%}
    now()
{%- endmacro %}

{# What is counted of a set of live conversations; `is_user` is true once for each user in it. #}
{% macro conversation_measures(is_user) -%}
    count(*) as conversations,
    count(case when {{ is_user }} then 1 end) as users,
    cast(sum(message_count) as bigint) as messages,
    coalesce(sum(cost_credit), 0) as credits,
    count(case when is_human_mode then 1 end) as human_mode_conversations,
    max(last_activity_at) as last_activity_at,
    count(case when is_human_mode then 1 end) / nullif(count(is_human_mode), 0)
        as share_of_human_mode,
    count(case when {{ is_user }} and came_back then 1 end) as repeat_users,
    cast(sum(cost_credit) / nullif(count(cost_credit), 0) as double) as credits_per_conversation,
    cast(
        sum(case when message_count is not null then cost_credit end)
        / nullif(sum(case when cost_credit is not null then message_count end), 0) as double
    ) as credits_per_message
{%- endmacro %}

{# What the transcripts of a set of live conversations tell, of those that were read. #}
{% macro transcript_measures() -%}
    count(case when has_transcript then 1 end) as transcripts,
    median(first_response_seconds) as median_first_response_seconds
{%- endmacro %}

{# A row's share of the whole; 0 for every row when the whole is 0. #}
{% macro share_of_whole(measure) -%}
    coalesce({{ measure }} / nullif(sum({{ measure }}) over (), 0), 0)
{%- endmacro %}

{#
  What marts count together: a user of an API, or a conversation without one, as a number. Two that
  meet in one number are only counted anew together.
#}
{% macro party_of(source, user, id) -%}
    hash({{ source }}, {{ user }}, case when {{ user }} is null then {{ id }} end)
{%- endmacro %}

{# A number for a version of a conversation; a sum of them tells whether any is another. #}
{% macro reading_of(observed_at, deleted_at) -%}
    hash({{ observed_at }}, {{ deleted_at }}) % 4294967296
{%- endmacro %}
