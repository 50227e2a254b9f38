-- One row per order, with who placed it and what is left of the money.
with refunds as (
    select order_id, sum(amount) as refunded_amount
    from stg_refunds
    group by order_id
),

items as (
    select order_id, sum(quantity)::bigint as items
    from stg_order_items
    group by order_id
)

select
    orders.order_id,
    people.person_id,
    orders.ordered_at,
    orders.ordered_at::date as ordered_on,
    orders.status,
    orders.payment_method,
    items.items,
    orders.total_amount,
    -- A cancelled order was never paid.
    if(orders.is_revenue, orders.total_amount, 0)::decimal(12, 2) as gross_revenue,
    coalesce(refunds.refunded_amount, 0)::decimal(12, 2) as refunded_amount,
    (gross_revenue - coalesce(refunds.refunded_amount, 0))::decimal(12, 2) as net_revenue,
    if(orders.is_revenue, orders.total_amount * fees.percent / 100 + fees.fixed, 0)
        ::decimal(12, 2) as payment_fee
from {{ ref('stg_orders') }} as orders
left join {{ ref('person_keys') }} as people
    on people.silo = if(orders.customer_id is null, 'guest', 'shop')
    and people.silo_key = coalesce(orders.customer_id::varchar, orders.email)
left join items using (order_id)
left join refunds using (order_id)
left join finance.payment_fees as fees
    on fees.method = orders.payment_method
