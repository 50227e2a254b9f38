-- Who is who: one row per key of a silo, with the person behind it.
with recursive keys as (
    select silo, silo_key, identifier, silo || ':' || silo_key as node
    from {{ ref('identity_links') }}
),

neighbours as (
    select distinct one.node, other.node as neighbour
    from keys as one
    join keys as other using (identifier)
),

-- Friends of friends: A shares an address with B, B an account with C.
reached as (
    select node, neighbour from neighbours
    union
    select reached.node, neighbours.neighbour
    from reached
    join neighbours on neighbours.node = reached.neighbour
),

-- The smallest key names the person, so that the name stays as long as that key does.
named as (
    select node, 'p-' || left(md5(min(neighbour)), 12) as person_id
    from reached
    group by node
)

select distinct keys.silo, keys.silo_key, named.person_id
from keys
join named using (node)
