-- One row per contact of the CRM: the newest that any export holds.
with contacts as (
    select
        contact_id,
        {{ clean_name('first_name') }} as first_name,
        {{ clean_name('last_name') }} as last_name,
        {{ clean_email('email') }} as email,
        {{ blank_to_null('phone') }} as phone,
        upper(trim(country)) as country_code,
        trim(city) as city,
        trim(postcode) as postcode,
        {{ standardize_date('birth_date') }}::date as born_on,
        {{ standardize_date('signup_date') }}::date as signed_up_on,
        lower(trim(status)) <> 'unsubscribed' as is_subscribed,
        -- Null means never asked: the question is as young as the export of 2024.
        lower({{ blank_to_null('newsletter') }}) in ('yes', 'y', '1') as wants_newsletter,
        {{ blank_to_null('notes') }} as notes,
        {{ standardize_date('updated_at') }} as updated_at
    from crm.contacts
)

select *
from contacts
qualify row_number() over (partition by contact_id order by updated_at desc) = 1
