-- One row per day on which money moved. Orders count on the day they were placed, refunds on the
-- day they were paid; refunds of orders that the shop has never seen are left out.
with moves as (
    select ordered_on as day, payment_method, 1 as orders, gross_revenue as paid, 0 as refunded
    from orders
    where status <> 'cancelled'
    union all
    select refunds.refunded_on, orders.payment_method, 0, 0, refunds.amount
    from stg_refunds as refunds
    join orders using (order_id)
)

select
    day,
    sum(orders)::bigint as orders,
    sum(paid)::decimal(12, 2) as gross_revenue,
    sum(refunded)::decimal(12, 2) as refunded_amount,
    sum(paid - refunded)::decimal(12, 2) as net_revenue,
    {%- for method in payment_methods() %}
    coalesce(sum(paid - refunded) filter (payment_method = '{{ method }}'), 0)
        ::decimal(12, 2) as {{ method }}_revenue{{ ',' if not loop.last }}
    {%- endfor %}
from moves
group by day
