{# A lakehouse has tables alone: no reader would find a view. #}
{{ config(materialized='table' if env_var('CONVOY_SPARK_MARTS', '') else 'view') }}

with conversations as (
    select * from {{ ref('int_conversations') }}
),

last_messages as (
    select * from {{ ref('stg_last_messages') }}
),

transcripts as (
    select * from {{ ref('int_transcripts') }}
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
        case
            when last_messages.conversation_id is not null then last_messages.sender_type
            else transcripts.last_message_sender_type
        end as last_message_sender_type,
        case
            when last_messages.conversation_id is not null then last_messages.content
            else transcripts.last_message_content
        end as last_message_content,
        live.voice_path,
        live.metadata,
        live.extra,
        live.observed_at,
        transcripts.first_response_seconds,
        transcripts.user_messages,
        transcripts.bot_messages,
        transcripts.tokens
    from live
    left join last_messages
        on
            live.source = last_messages.source
            and live.conversation_id = last_messages.conversation_id
    left join transcripts
        on
            live.source = transcripts.source
            and live.conversation_id = transcripts.conversation_id
)

select * from final
