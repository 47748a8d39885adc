with spend_daily as (
    select * from {{ ref('int_spend_daily') }}
),

final as (
    select
        spent_on,
        source,
        bot_id,
        platform,
        credits,
        conversations
    from spend_daily
    where source is not null
)

select * from final
