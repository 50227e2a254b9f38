select
    order_id,
    line_no,
    sku,
    quantity,
    {{ euros('unit_price_cents') }} as unit_price,
    {{ euros('quantity * unit_price_cents') }} as line_amount
from shop.order_items
where order_id in (select order_id from stg_orders)
