select
    orders.order_id,
    orders.customer_id, -- null: a guest, known by e-mail only
    {{ clean_email('orders.email') }} as email,
    spellings.status, -- a spelling that the seed does not know is null, and a check says so
    spellings.is_revenue,
    lower(trim(orders.payment_method)) as payment_method,
    {{ euros('orders.shipping_cents') }} as shipping_amount,
    {{ euros('orders.discount_cents') }} as discount_amount,
    {{ euros('orders.total_cents') }} as total_amount,
    {{ standardize_date('orders.ordered_at') }} as ordered_at,
    {{ standardize_date('orders.updated_at') }} as updated_at
from {{ source('shop', 'orders') }} as orders
left join {{ ref('order_statuses') }} as spellings
    on spellings.spelling = trim(orders.status)
-- The shop's makers placed orders to try it out.
where orders.email <> 'test@shop.example'
