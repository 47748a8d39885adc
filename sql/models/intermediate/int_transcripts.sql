-- Made anew by each build: a message that was edited or came late changes what it adds up to, and
-- nothing that is cheaper to look at than the messages themselves would show that.
{{ config(materialized='table') }}

with messages as (
    select * from {{ ref('stg_messages') }}
),

transcripts as (
    select * from {{ ref('stg_transcripts') }}
    where complete
),

first_questions as (
    select
        source,
        conversation_id,
        min(created_at) as asked_at
    from messages
    where sender = 'user'
    group by source, conversation_id
),

measured as (
    select
        messages.source,
        messages.conversation_id,
        count(case when messages.sender = 'user' then 1 end) as user_messages,
        count(case when messages.sender = 'bot' then 1 end) as bot_messages,
        cast(sum(messages.tokens_used) as bigint) as tokens,
        any_value(first_questions.asked_at) as asked_at,
        min(case
            when messages.sender = 'bot' and messages.created_at >= first_questions.asked_at
                then messages.created_at
        end) as answered_at,
        arg_max(
            { 'sender_type': messages.sender_type, 'content': messages.content },
            { 'at': messages.created_at, 'id': messages.message_id }
        ) as last_message
    from messages
    left join first_questions
        on
            messages.source = first_questions.source
            and messages.conversation_id = first_questions.conversation_id
    group by messages.source, messages.conversation_id
),

final as (
    select
        transcripts.source,
        transcripts.conversation_id,
        transcripts.read_at,
        coalesce(measured.user_messages, 0) as user_messages,
        coalesce(measured.bot_messages, 0) as bot_messages,
        measured.tokens,
        epoch(measured.answered_at - measured.asked_at) as first_response_seconds,
        measured.last_message.sender_type as last_message_sender_type,
        measured.last_message.content as last_message_content
    from transcripts
    left join measured
        on
            transcripts.source = measured.source
            and transcripts.conversation_id = measured.conversation_id
)

select * from final
