with conversations as (
    select * from {{ source('chat', 'conversations') }}
),

final as (
    select
        source,
        conversation_id,
        bot_id,
        bot,
        channel,
        user_id,
        sns_user_id,
        case
            when source = 'okchat'
                then coalesce(
                    nullif({{ trimmed('user_id') }}, ''),
                    nullif({{ trimmed('sns_user_id') }}, '')
                )
            else nullif({{ trimmed('user_id') }}, '')
        end as end_user_id,
        subject,
        state,
        active,
        is_human_mode,
        migrated_data,
        message_count,
        cost_credit,
        voice_path,
        metadata,
        extra,
        created_at,
        last_activity_at,
        deleted_at,
        observed_at
    from conversations
)

select * from final
