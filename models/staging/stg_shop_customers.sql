select
    customer_id,
    {{ clean_email('email') }} as email,
    -- Some wrote their name as `Novak, Ida`.
    {{ clean_name("regexp_replace(full_name, '^(.+), (.+)$', '\\2 \\1')") }} as full_name,
    country as country_code,
    {{ standardize_date('created_at') }} as created_at
from shop.customers
