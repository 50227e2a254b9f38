select
    -- `SO-100234`, `so-100234 ` or `SO 100234`
    regexp_extract("Order number", '\d+')::bigint as order_id,
    {{ standardize_date('"Refund date"') }}::date as refunded_on,
    replace("Amount", ',', '')::decimal(12, 2) as amount,
    lower({{ blank_to_null('"Reason"') }}) as reason
from {{ source('finance', 'refunds') }}
-- The sheet ends in a row with the total.
where "Order number" <> 'Total'
