-- One row per product: how often it is looked at, how often it is bought, and from whom we have it.
with sales as (
    select sku, sum(quantity)::bigint as units_sold, sum(line_amount)::decimal(12, 2) as sales_amount
    from stg_order_items
    join {{ ref('orders') }} using (order_id)
    where status <> 'cancelled'
    group by sku
),

views as (
    select sku, count(*) as views
    from stg_events
    where event = 'product_viewed'
    group by sku
)

select
    products.sku,
    products.title,
    products.category,
    {{ euros('products.price_cents') }} as price,
    products.active = 1 as is_active,
    suppliers.name as supplier,
    -- The old ERP writes `12,5`; no agreement means no discount.
    coalesce(suppliers.discount, 0)::decimal(5, 2) as supplier_discount,
    coalesce(views.views, 0) as views,
    coalesce(sales.units_sold, 0) as units_sold,
    coalesce(sales.sales_amount, 0)::decimal(12, 2) as sales_amount
from shop.products as products
left join finance.suppliers as suppliers using (supplier_no)
left join sales using (sku)
left join views using (sku)
