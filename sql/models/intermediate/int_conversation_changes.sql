with conversation_changes as (
    select * from {{ ref('stg_conversation_changes') }}
),

platforms as (
    select * from {{ ref('platforms') }}
),

final as (
    select
        conversation_changes.*,
        {{ platform_name('platforms.platform', 'conversation_changes.channel') }} as platform
    from conversation_changes
    left join platforms
        on
            conversation_changes.source = platforms.source
            and {{ is_channel('conversation_changes.channel', 'platforms.channel') }}
)

select * from final
