{{ config(materialized='table') }}

{#- The links that a bot may be away from the first of its account: not all engines can recurse. -#}
{%- set rounds = 16 -%}
with links as (
    select * from {{ ref('int_bill_links') }}
),

-- Each bot takes the first name that those it is linked with have come to, round by round.
joined_0 as (
    select
        source,
        bot,
        {{ by_code_point('bot') }} as account
    from links
    where bot = other_bot
),
{% for round in range(rounds) %}
joined_{{ round + 1 }} as (
    select
        links.source,
        links.other_bot as bot,
        min({{ by_code_point('joined.account') }}) as account
    from joined_{{ round }} as joined
    inner join links
        on
            joined.source = links.source
            and joined.bot = links.bot
    group by links.source, links.other_bot
),
{% endfor %}
accounts as (
    select
        source,
        account,
        {{ listagg('bot', "', '", 'order by ' ~ by_code_point('bot')) }} as bots
    from joined_{{ rounds }}
    group by source, account
),

final as (
    select
        joined.source,
        joined.bot,
        joined.account,
        accounts.bots
    from joined_{{ rounds }} as joined
    inner join accounts
        on
            joined.source = accounts.source
            and joined.account = accounts.account
)

select * from final
