with conversations as (
    select * from {{ ref('int_live_with_transcripts') }}
),

bots as (
    select * from {{ ref('dim_bots') }}
),

measured as (
    select
        source,
        bot_id,
        {{ conversation_measures('is_user_of_bot') }},
        {{ transcript_measures() }}
    from conversations
    group by source, bot_id
),

final as (
    select
        measured.source,
        measured.bot_id,
        bots.bot,
        measured.conversations,
        measured.users,
        measured.messages,
        measured.credits,
        {{ share_of_whole('measured.conversations') }} as share_of_conversations,
        {{ share_of_whole('measured.credits') }} as share_of_credits,
        measured.human_mode_conversations,
        measured.last_activity_at,
        measured.share_of_human_mode,
        measured.repeat_users,
        measured.credits_per_conversation,
        measured.credits_per_message,
        bots.name,
        measured.transcripts,
        measured.median_first_response_seconds
    from measured
    left join bots
        on
            measured.source = bots.source
            and measured.bot_id = bots.bot_id
)

select * from final
