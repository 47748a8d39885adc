with credit_ledger as (
    select * from {{ ref('credit_ledger') }}
),

final as (
    select
        spent_on,
        source,
        bot_id,
        platform,
        sum(credits) as credits,
        count(distinct conversation_id) as conversations
    from credit_ledger
    group by spent_on, source, bot_id, platform
)

select * from final
