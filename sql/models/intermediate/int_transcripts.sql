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
        first_questions.asked_at,
        min(case
            when messages.sender = 'bot' and messages.created_at >= first_questions.asked_at
                then messages.created_at
        end) as answered_at,
        max(messages.created_at) as last_at
    from messages
    left join first_questions
        on
            messages.source = first_questions.source
            and messages.conversation_id = first_questions.conversation_id
    group by messages.source, messages.conversation_id, first_questions.asked_at
),

-- Of those written last at once, that of the greatest id: a window over all takes thrice as long.
last_ids as (
    select
        messages.source,
        messages.conversation_id,
        max({{ by_code_point('messages.message_id') }}) as message_id
    from messages
    inner join measured
        on
            messages.source = measured.source
            and messages.conversation_id = measured.conversation_id
            and messages.created_at is not distinct from measured.last_at
    group by messages.source, messages.conversation_id
),

last_messages as (
    select messages.*
    from messages
    inner join last_ids
        on
            messages.source = last_ids.source
            and messages.conversation_id = last_ids.conversation_id
            and messages.message_id = last_ids.message_id
),

final as (
    select
        transcripts.source,
        transcripts.conversation_id,
        transcripts.read_at,
        coalesce(measured.user_messages, 0) as user_messages,
        coalesce(measured.bot_messages, 0) as bot_messages,
        measured.tokens,
        {{ exact_seconds_between('measured.asked_at', 'measured.answered_at') }}
            as first_response_seconds,
        last_messages.sender_type as last_message_sender_type,
        last_messages.content as last_message_content
    from transcripts
    left join measured
        on
            transcripts.source = measured.source
            and transcripts.conversation_id = measured.conversation_id
    left join last_messages
        on
            transcripts.source = last_messages.source
            and transcripts.conversation_id = last_messages.conversation_id
)

select * from final
