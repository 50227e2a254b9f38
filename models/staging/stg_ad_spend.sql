-- The platform writes one campaign in several ways, so a day may have had two rows of it.
select
    {{ slug('campaign') }} as campaign,
    day,
    sum(cost)::decimal(12, 2) as cost,
    sum(clicks)::bigint as clicks
from ads.spend
group by all
