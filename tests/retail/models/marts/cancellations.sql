-- Lines that were taken back. They are not netted against orders: nothing says which one is meant.
select line_id, invoice_no, customer_id, stock_code, invoiced_at, -quantity as items, -amount as amount
from {{ ref('stg_invoice_lines') }}
where kind = 'cancellation'
