-- One row per person who is in the CRM, has an account, or has ordered.
with contacts as (
    select
        people.person_id,
        -- The oldest entry is the one that people took care of.
        arg_min(contacts.first_name || ' ' || contacts.last_name, contacts.contact_id) as full_name,
        arg_min(contacts.email, contacts.contact_id) as email,
        arg_min(contacts.country_code, contacts.contact_id) as country_code,
        -- One no is enough.
        bool_and(contacts.is_subscribed and coalesce(contacts.wants_newsletter, true)) as may_mail
    from stg_contacts as contacts
    join person_keys as people
        on people.silo = 'crm' and people.silo_key = contacts.contact_id::varchar
    group by all
),

accounts as (
    select
        people.person_id,
        arg_min(accounts.full_name, accounts.customer_id) as full_name,
        arg_min(accounts.email, accounts.customer_id) as email,
        arg_min(accounts.country_code, accounts.customer_id) as country_code
    from stg_shop_customers as accounts
    join person_keys as people
        on people.silo = 'shop' and people.silo_key = accounts.customer_id::varchar
    group by all
),

guests as (
    select person_id, min(silo_key) as email
    from person_keys
    where silo = 'guest'
    group by all
),

purchases as (
    select
        person_id,
        count(*) as orders,
        sum(net_revenue)::decimal(12, 2) as lifetime_revenue,
        min(ordered_on) as first_order_on,
        max(ordered_on) as last_order_on
    from orders
    where status <> 'cancelled'
    group by all
)

select
    people.person_id,
    coalesce(contacts.email, accounts.email, guests.email) as email,
    coalesce(contacts.full_name, accounts.full_name) as full_name,
    coalesce(contacts.country_code, accounts.country_code) as country_code,
    countries.name as country,
    countries.region,
    people.silos,
    coalesce(contacts.may_mail, false) as may_mail, -- who was never asked has not agreed
    coalesce(purchases.orders, 0) as orders,
    coalesce(purchases.lifetime_revenue, 0)::decimal(12, 2) as lifetime_revenue,
    purchases.first_order_on,
    purchases.last_order_on,
    {{ days_since('purchases.last_order_on') }} as days_since_last_order
from (
    select person_id, string_agg(distinct silo, ' + ' order by silo) as silos
    from person_keys
    group by person_id
    having bool_or(silo <> 'web') -- a device alone is no customer
) as people
left join contacts using (person_id)
left join accounts using (person_id)
left join guests using (person_id)
left join purchases using (person_id)
left join countries
    on countries.code = coalesce(contacts.country_code, accounts.country_code)
