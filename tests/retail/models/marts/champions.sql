-- The audience: who came lately, comes often and spends much.
select customer_id, days_since_order, orders, revenue
from {{ ref('rfm') }}
where recency >= 3 and frequency >= 3 and money = 4
