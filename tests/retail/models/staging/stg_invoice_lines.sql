-- Every line that was landed, with one word for what it is. Nothing is dropped here: what a mart
-- leaves out, it leaves out by this word.
--   sale          something was sold to somebody
--   cancellation  a sale was taken back; the invoice begins with `C`
--   service       postage, fees, samples, manual entries: no article
--   correction    stock was written off or on: no price, or a quantity below zero
with lines as (
    select
        nullif(trim(InvoiceNo), '') as invoice_no,
        upper(trim(StockCode)) as stock_code,
        nullif(trim(Description), '') as description,
        Quantity as quantity,
        InvoiceDate as invoiced_at,
        cast(UnitPrice as decimal(12, 2)) as unit_price,
        CustomerID as customer_id,
        _source as line_id
    from {{ source('retail', 'invoice_lines') }}
)

select
    *,
    cast(quantity * unit_price as decimal(14, 2)) as amount,
    case
        when invoice_no is null or invoice_no like 'C%' then 'cancellation'
        when quantity <= 0 or unit_price <= 0 then 'correction'
        when not regexp_matches(stock_code, '^[0-9]{5}') then 'service'
        else 'sale'
    end as kind
from lines
