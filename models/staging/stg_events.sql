-- One row per message. Only what came in since the last build is read.
with events as (
    select
        messageId as message_id,
        anonymousId as anonymous_id,
        type,
        -- The old app says `product_viewed`, the new one `Product Viewed`.
        {{ slug('event') }} as event,
        try_cast(userId as bigint) as customer_id,
        {{ clean_email("traits->>'$.email'") }} as email,
        coalesce(properties->>'$.product_id', properties->>'$.productId') as sku,
        try_cast(properties->>'$.order_id' as bigint) as order_id,
        properties->>'$.path' as path,
        {{ slug("context->>'$.campaign.name'") }} as campaign,
        {{ standardize_date('timestamp') }} as sent_at,
        {{ standardize_date('receivedAt') }} as received_at
    from {{ source('web', 'events') }}
)

select *
from events
where {{ only_recent_on_scratch('received_at') }}
{%- if is_incremental() %}
    {%- if execute %}{% do log('adding new events to ' ~ this) %}{% endif %}
    and received_at > (select max(received_at) from {{ this }})
{%- endif %}
-- A message that was sent again counts once, as it came last.
qualify row_number() over (partition by message_id order by received_at desc) = 1
