-- What the days say together is what the orders say together.
{{ config(tags=['finance']) }}

with totals as (
    select
        (select sum(net_revenue) from daily_revenue) as by_day,
        (select sum(net_revenue) from orders) as by_order
)

select *
from totals
where by_day is distinct from by_order
