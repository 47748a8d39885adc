with conversations as (
    select * from {{ ref('conversations') }}
),

measured as (
    select
        source,
        platform,
        {{ conversation_measures() }}
    from conversations
    group by source, platform
),

final as (
    select
        source,
        platform,
        conversations,
        users,
        messages,
        credits,
        {{ share_of_whole('conversations') }} as share_of_conversations,
        {{ share_of_whole('credits') }} as share_of_credits,
        human_mode_conversations,
        last_activity_at
    from measured
)

select * from final
