{{ config(materialized='view') }}

with conversations as (
    select * from {{ ref('int_conversations') }}
),

last_messages as (
    select * from {{ ref('stg_last_messages') }}
),

live as (
    select * from conversations
    where deleted_at is null
),

final as (
    select
        live.source,
        live.conversation_id,
        live.bot_id,
        live.bot,
        live.platform,
        live.channel,
        live.user_id,
        live.sns_user_id,
        live.end_user_id,
        live.subject,
        live.state,
        live.active,
        live.is_human_mode,
        live.migrated_data,
        live.message_count,
        live.cost_credit,
        live.created_at,
        live.last_activity_at,
        last_messages.sender_type as last_message_sender_type,
        last_messages.content as last_message_content,
        live.voice_path,
        live.metadata,
        live.extra,
        live.observed_at
    from live
    left join last_messages
        on
            live.source = last_messages.source
            and live.conversation_id = last_messages.conversation_id
)

select * from final
