with bills as (
    select * from {{ ref('stg_bills') }}
),

accounts as (
    select * from {{ ref('int_bill_accounts') }}
),

credit_ledger as (
    select * from {{ ref('credit_ledger') }}
),

conversations as (
    select * from {{ ref('stg_conversations') }}
),

conversation_credits as (
    select * from {{ ref('stg_conversation_credits') }}
),

bots as (
    select * from {{ ref('int_bots') }}
),

sync_windows as (
    select * from {{ ref('stg_sync_windows') }}
),

readings as (
    select
        accounts.source,
        accounts.account,
        accounts.bots,
        bills.billed_on,
        bills.total as billed,
        coalesce(bills.knowledge_doc_indexing, 0) + coalesce(bills.knowledge_doc_storage, 0)
            as unattributed,
        row_number() over (
            partition by accounts.source, accounts.account, bills.billed_on
            order by bills.observed_at desc, {{ by_code_point('bills.bot') }}
        ) as nth
    from bills
    inner join accounts
        on
            bills.source = accounts.source
            and bills.bot = accounts.bot
),

billed as (
    select * from readings
    where nth = 1
),

first_syncs as (
    select
        source,
        bot,
        min(finished_at) as first_complete_sync_at
    from sync_windows
    where kind = 'history' and certified
    group by source, bot
),

known_since as (
    select
        accounts.source,
        accounts.account,
        max(coalesce(first_syncs.first_complete_sync_at, {{ present() }})) as known_since
    from accounts
    left join first_syncs
        on
            accounts.source = first_syncs.source
            and accounts.bot = first_syncs.bot
    group by accounts.source, accounts.account
),

homes as (
    select
        conversations.source,
        conversations.conversation_id,
        accounts.account
    from conversations
    left join bots
        on
            conversations.source = bots.source
            and conversations.bot_id = bots.bot_id
    inner join accounts
        on
            conversations.source = accounts.source
            and coalesce(bots.bot, conversations.bot) = accounts.bot
),

booked as (
    select
        homes.source,
        homes.account,
        -- A bill has days in UTC, whatever zone the ledger's are in.
        {{ local_date('credit_ledger.spent_until', 'UTC') }} as billed_on,
        sum(credit_ledger.credits) as booked
    from credit_ledger
    inner join homes
        on
            credit_ledger.source = homes.source
            and credit_ledger.conversation_id = homes.conversation_id
    group by homes.source, homes.account, billed_on
),

items as (
    select
        conversation_credits.source,
        coalesce(homes.account, accounts.account) as account,
        conversation_credits.credited_on as billed_on,
        conversation_credits.total
    from conversation_credits
    left join homes
        on
            conversation_credits.source = homes.source
            and conversation_credits.conversation_id = homes.conversation_id
    left join accounts
        on
            conversation_credits.source = accounts.source
            and conversation_credits.bot = accounts.bot
),

itemised as (
    select
        source,
        account,
        billed_on,
        sum(total) as itemised
    from items
    group by source, account, billed_on
),

final as (
    select
        billed.billed_on,
        billed.source,
        billed.account,
        billed.bots,
        billed.billed,
        coalesce(booked.booked, 0) as booked,
        billed.unattributed,
        cast(
            cast(billed.billed - billed.unattributed as decimal(30, 10))
            - cast(coalesce(booked.booked, 0) as decimal(37, 10)) as decimal(38, 10)
        ) as difference,
        itemised.itemised,
        billed.billed_on < {{ local_date(present(), 'UTC') }} - 1 as is_settled,
        billed.billed_on > {{ local_date('known_since.known_since', 'UTC') }} as is_observed
    from billed
    inner join known_since
        on
            billed.source = known_since.source
            and billed.account = known_since.account
    left join booked
        on
            billed.source = booked.source
            and billed.account = booked.account
            and billed.billed_on = booked.billed_on
    left join itemised
        on
            billed.source = itemised.source
            and billed.account = itemised.account
            and billed.billed_on = itemised.billed_on
)

select * from final
