-- Every key under which a silo knows someone, beside everything that identifies them there.
-- Two keys that share an identifier are one person.
{{ config(materialized='ephemeral') }}

with keys as (
    select 'crm' as silo, contact_id::varchar as silo_key, email, null as customer_id
    from stg_contacts
    union all
    select 'shop', customer_id::varchar, email, null
    from stg_shop_customers
    union all
    -- Guests have no account: their address is their key.
    select 'guest', email, email, null
    from stg_orders
    where customer_id is null
    union all
    select 'web', anonymous_id, email, customer_id
    from stg_events
),

links as (
    select
        silo,
        silo_key,
        unnest([
            silo || ':' || silo_key, -- itself: without any other trace, still a person
            'email:' || email,
            'shop:' || customer_id
        ]) as identifier
    from keys
)

select distinct *
from links
where identifier is not null
