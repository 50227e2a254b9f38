-- One row per customer who signed in. Orders of nobody are in `orders`, not here.
select
    o.customer_id,
    min(o.ordered_at) as first_order_at,
    max(o.ordered_at) as last_order_at,
    count(*) as orders,
    cast(sum(o.revenue) as decimal(14, 2)) as revenue,
    cast(coalesce(any_value(c.amount), 0) as decimal(14, 2)) as cancelled
from {{ ref('orders') }} o
left join (
    select customer_id, sum(amount) as amount from {{ ref('cancellations') }} group by customer_id
) c using (customer_id)
where o.customer_id is not null
group by o.customer_id
