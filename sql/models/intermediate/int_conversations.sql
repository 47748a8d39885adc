with conversations as (
    select * from {{ ref('stg_conversations') }}
),

platforms as (
    select * from {{ ref('platforms') }}
),

final as (
    select
        conversations.*,
        {{ platform_name('platforms.platform', 'conversations.channel') }} as platform
    from conversations
    left join platforms
        on
            conversations.source = platforms.source
            and {{ is_channel('conversations.channel', 'platforms.channel') }}
)

select * from final
