-- One row per campaign and month: what it cost, and what people bought who came through it.
-- The last campaign of the 30 days before an order has earned it; without one it is `direct`.
{{ config(tags=['marketing']) }}

with touches as (
    select people.person_id, events.sent_at as touched_at, events.campaign
    from stg_events as events
    join person_keys as people
        on people.silo = 'web' and people.silo_key = events.anonymous_id
    where events.campaign is not null
),

credited as (
    select
        if(
            touches.touched_at >= orders.ordered_at - interval 30 day, touches.campaign, 'direct'
        ) as campaign,
        date_trunc('month', orders.ordered_on)::date as month,
        orders.net_revenue
    from orders
    asof left join touches
        on touches.person_id = orders.person_id
        and touches.touched_at <= orders.ordered_at
    where orders.ordered_on >= date '{{ var("tracking_since") }}'
        and orders.status <> 'cancelled'
),

earned as (
    select campaign, month, count(*) as orders, sum(net_revenue) as net_revenue
    from credited
    group by all
),

spent as (
    select
        campaign,
        date_trunc('month', day)::date as month,
        sum(clicks) as clicks,
        sum(cost) as cost
    from stg_ad_spend
    group by all
)

select
    campaign,
    month,
    campaigns.channel,
    coalesce(spent.clicks, 0)::bigint as clicks,
    coalesce(spent.cost, 0)::decimal(12, 2) as cost,
    coalesce(earned.orders, 0)::bigint as orders,
    coalesce(earned.net_revenue, 0)::decimal(12, 2) as net_revenue,
    round(earned.net_revenue / spent.cost, 2) as return_on_spend
from earned
full join spent using (campaign, month)
left join ads.campaigns as campaigns
    on {{ slug('campaigns.name') }} = campaign
