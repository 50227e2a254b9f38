-- An order's total is its lines, with shipping, without the discount.
with lines as (
    select order_id, sum(line_amount) as goods_amount
    from {{ ref('stg_order_items') }}
    group by order_id
)

select
    orders.order_id,
    orders.total_amount,
    lines.goods_amount + orders.shipping_amount - orders.discount_amount as expected_amount
from {{ ref('stg_orders') }} as orders
left join lines using (order_id)
where orders.total_amount is distinct from expected_amount
