with bots as (
    select * from {{ source('chat', 'bots') }}
),

final as (
    select
        source,
        bot_id,
        bot,
        name,
        observed_at
    from bots
)

select * from final
