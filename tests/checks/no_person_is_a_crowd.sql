-- Many keys in one person: an address that several people share has glued them together.
-- Add it to `shared_mailboxes` in macros/lists.sql.
{{ config(severity='warn', tags=['identity']) }}

select person_id, count(*) as keys
from {{ ref('person_keys') }}
group by person_id
having count(*) > 8
