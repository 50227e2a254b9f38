-- Good customers who have not ordered for long, and who may be written to.
select
    customers.person_id,
    customers.email,
    customers.full_name,
    customers.country_code,
    customers.lifetime_revenue,
    customers.last_order_on,
    customers.days_since_last_order
from {{ ref('customers') }} as customers
join {{ ref('customer_scores') }} as scores using (person_id)
where scores.money_score >= 4
    and customers.days_since_last_order > {{ var('lapsed_after_days', 180) }}
    and customers.may_mail
    and customers.email is not null
