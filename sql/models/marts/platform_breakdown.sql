with conversations as (
    select * from {{ ref('int_live_with_transcripts') }}
),

measured as (
    select
        source,
        platform,
        {{ conversation_measures('is_user_of_platform') }},
        {{ transcript_measures() }}
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
        last_activity_at,
        share_of_human_mode,
        repeat_users,
        credits_per_conversation,
        credits_per_message,
        transcripts,
        median_first_response_seconds
    from measured
)

select * from final
