-- Recency, frequency and money in quarters (4 is best), on the day after the last invoice.
with day as (
    select max(ordered_at)::date + 1 as today from {{ ref('orders') }}
)

select
    customer_id,
    date_diff('day', last_order_at::date, today) as days_since_order,
    orders,
    revenue,
    5 - ntile(4) over (order by last_order_at desc, customer_id) as recency,
    ntile(4) over (order by orders, customer_id) as frequency,
    ntile(4) over (order by revenue, customer_id) as money
from {{ ref('customers') }}, day
