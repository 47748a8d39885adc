{{ config(materialized='table') }}

with linked as (
    {{ led_to(ref('int_bill_links')) }}
),

accounts as (
    select
        source,
        account,
        {{ listagg('bot', "', '", 'order by ' ~ by_code_point('bot')) }} as bots
    from linked
    group by source, account
),

final as (
    select
        linked.source,
        linked.bot,
        linked.account,
        accounts.bots
    from linked
    inner join accounts
        on
            linked.source = accounts.source
            and linked.account = accounts.account
)

select * from final
