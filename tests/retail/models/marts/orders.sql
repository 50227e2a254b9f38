-- One row per invoice with at least one sale. Lines that were entered twice count twice: the
-- export has no line number that would tell a repeated line from a second item.
select
    invoice_no,
    any_value(customer_id) as customer_id,
    min(invoiced_at) as ordered_at,
    count(*) as lines,
    sum(quantity) as items,
    cast(sum(amount) as decimal(14, 2)) as revenue
from {{ ref('stg_invoice_lines') }}
where kind = 'sale'
group by invoice_no
