"""What has to be sent: the comparison of the model's rows with the ledger, as SQL.

Four temporary tables of one sync, each created from the previous ones:

    sync_model   the model's rows: slots, `key`, `doc`, `hash`, and the `fault` of an invalid key
    sync_plan    one row per key of the model or the ledger, with its class
    sync_again   batches with unknown outcome that are sent again unchanged
    sync_out     the rows to send, typed, with their batch and position

Classes: added, changed, removed (these are sent); unchanged; gone (no longer in the model, and this
mode does not remove); blocked (the key is null or not unique in the model); withheld (the target
refused exactly this content before).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from transformer.names import literal
from transformer.sync.mapping import (
    BETWEEN,
    Form,
    SentField,
    difference_of,
    document,
    exact,
    key_document,
    key_places,
    key_text,
    keys_of,
)

TO_SEND = "('added', 'changed', 'removed')"


class SyncDiff(Struct, frozen=True):
    """The statements of one activation. `ledger` is the alias of the attached sync ledger."""

    activation: str
    mode: str
    fields: tuple[SentField, ...]
    ledger: str

    def model(self, select: str) -> str:
        """Creates `sync_model`: the model is read once, so what is sent is what was compared."""
        values = ", ".join(
            f"{sent_field.value()} as {sent_field.slot}" for sent_field in self.fields
        )
        return f"""
            create or replace temp table sync_model as
            with typed as (select {values} from ({select}) as model),
            keyed as (select *, {key_text(self.fields)} as key, {document(self.fields)} as doc,
                {exact(self.fields)} as exact, {difference_of(self.fields)} as mark,
                {self._null_fault()} as fault from typed)
            select * exclude (exact, mark), md5(doc || mark) as hash,
                doc || coalesce({BETWEEN} || exact, '') as kept from keyed"""

    def mark_twice(self) -> str:
        """Marks every row of a duplicate key as faulty, since none of them is the right one."""
        return """
            update sync_model set fault = 'its key occurs ' || twice.n || ' times'
            from (select key, count(*) as n from sync_model where fault is null
                  group by key having count(*) > 1) as twice
            where twice.key = sync_model.key and fault is null"""

    def plan(self, retry: bool) -> str:
        """Creates `sync_plan`; with `retry`, rows refused before are sent again."""
        return f"""
            create or replace temp table sync_plan as
            with m as (select key, hash, doc, kept from sync_model where fault is null),
            faulty as (select distinct key from sync_model where fault is not null),
            h as (select * from {self.ledger}.rows where activation = {literal(self.activation)}),
            classed as (
                select coalesce(m.key, h.key) as key, {self._class()} as class,
                    coalesce(m.hash, '') as hash, m.doc, m.kept, h.payload as before,
                    h.status, h.batch, h.position, h.try_hash, h.try_payload, false as again
                from m full join h on h.key = m.key left join faulty on faulty.key = h.key)
            select * replace (
                case when class in {TO_SEND} and {_refused(retry)} then 'withheld' else class end
                as class)
            from classed"""

    def again(self, whole: bool) -> str:
        """Creates `sync_again`: batches of unknown outcome whose rows have not changed.

        In mode `append` a row is sent with its first content, even if it has changed: a receiver
        recognizes a repetition only by the same content under the same id.
        """
        same = "try_payload is not null" if self.mode == "append" else _UNCHANGED
        return f"""
            create or replace temp table sync_again as
            select p.batch from sync_plan as p join {self.ledger}.batches as b
                on b.id = p.batch and b.activation = {literal(self.activation)}
            where p.status = 'pending' and b.status = 'sending' and not {whole}
            group by p.batch, b.rows, b.done
            having count(*) = b.rows - b.done and bool_and({same})"""

    def mark_again(self) -> str:
        """Rows of those batches keep batch and position; appended ones also their first content."""
        sent = f"split_part(try_payload, {BETWEEN}, 1)"
        first_content = f", class = 'added', hash = try_hash, doc = {sent}, kept = try_payload"
        return f"""
            update sync_plan set again = true{first_content if self.mode == "append" else ""}
            where status = 'pending' and batch in (select batch from sync_again)"""

    def out(self, run: str, size: int) -> str:
        """Creates `sync_out`: removed rows come first, so that unique values are free again."""
        slots = ", ".join(sent_field.slot for sent_field in self.fields)
        keys = ", ".join(sent_field.slot for sent_field in keys_of(self.fields))
        return f"""
            create or replace temp table sync_out as
            with typed as (
                select {_OUT}, p.doc, p.kept, {slots} from sync_plan as p join sync_model as m
                    on m.key = p.key and m.fault is null
                where p.class in ('added', 'changed') and not {self._from_ledger()}
                union all by name
                select {_OUT}, {self._kept_doc()} as doc, source as kept, {self._read()}
                from (select *, {_LAST_SENT} as source from sync_plan) as p
                where p.class = 'removed' or (p.class = 'added' and {self._from_ledger()})),
            counted as (select *, row_number() over (partition by again
                order by class <> 'removed', {keys}, key) - 1 as n from typed)
            select * exclude (n, batch, position),
                case when again then batch
                    else {literal(run)} || lpad((n // {size})::varchar, 6, '0') end as batch,
                case when again then position else n % {size} end as position
            from counted order by not again, batch, position"""

    def batch(self, removed: bool, forms: Mapping[str, Form]) -> str:
        """The written or removed rows of one batch (parameter: its id), in order, each field in
        the target's form."""
        fields = keys_of(self.fields) if removed else self.fields
        return (
            f"select {_written(fields, forms)}, doc from sync_out where batch = ? "
            f"and (class = 'removed') = {removed} order by position"
        )

    def state(self, forms: Mapping[str, Form]) -> str:
        """Everything the target should have after the sync, ordered by key.

        Rows that left the model or whose key is faulty stay as they were last sent.
        """
        keys = ", ".join(f"held.{sent_field.slot}" for sent_field in keys_of(self.fields))
        append, mirror = self.mode == "append", self.mode == "mirror"
        return f"""
            select {_written(self.fields, forms)}, doc from (
                select p.doc, {_slots(self.fields, "m.")} from sync_plan as p
                join sync_model as m on m.key = p.key and m.fault is null
                where p.class in ('added', 'changed') or (p.class = 'unchanged' and not {append})
                union all by name
                select split_part(source, {BETWEEN}, 1) as doc, {self._read()}
                from (select *, {_LAST_SENT} as source from sync_plan) as p
                where source is not null and (p.class = 'blocked'
                    or (p.class = 'gone' and not {mirror})
                    or (p.class = 'unchanged' and {append}))) as held
            order by {keys}"""

    def _class(self) -> str:
        holds = "(h.hash is not null or h.status = 'pending')"
        removes = holds if self.mode == "mirror" else "false"
        same = "true" if self.mode == "append" else "h.status <> 'pending' and h.hash = m.hash"
        return f"""case
            when m.key is null and faulty.key is not null then 'blocked'
            when m.key is null and {removes} then 'removed'
            when m.key is null then 'gone'
            when h.hash is null then 'added'
            when {same} then 'unchanged'
            else 'changed' end"""

    def _null_fault(self) -> str:
        cases = " ".join(
            f"when {key_field.slot} is null then {literal(f'its key `{key_field.column}` is null')}"
            for key_field in keys_of(self.fields)
        )
        return f"case {cases} end"

    def _from_ledger(self) -> str:
        return "p.again" if self.mode == "append" else "false"

    def _kept_doc(self) -> str:
        removed = key_document(self.fields, "p.key")
        sent = f"split_part(source, {BETWEEN}, 1)"
        return f"case when p.class = 'removed' then {removed} else {sent} end"

    def _read(self) -> str:
        """The slots of a ledger row; key fields are read by position, since they may be renamed."""
        places = key_places(self.fields)
        return ", ".join(
            sent_field.read_key("p.key", places[sent_field.slot]) + f" as {sent_field.slot}"
            if sent_field.is_key
            else sent_field.read("source") + f" as {sent_field.slot}"
            for sent_field in self.fields
        )


# The payload sent last, or possibly sent: a removal in flight has none of its own.
_LAST_SENT = "case when status = 'pending' then coalesce(try_payload, before) else before end"
_UNCHANGED = f"p.class in {TO_SEND} and p.hash = p.try_hash"
_OUT = "p.key, p.class, p.hash, p.batch, p.position, p.again"


def _refused(retry: bool) -> str:
    return "false" if retry else "coalesce(status = 'rejected' and try_hash = hash, false)"


def _written(fields: Sequence[SentField], forms: Mapping[str, Form]) -> str:
    return ", ".join(f"{f.written(forms.get(f.name, 'typed'))} as {f.slot}" for f in fields)


def _slots(fields: Sequence[SentField], prefix: str = "") -> str:
    return ", ".join(f"{prefix}{sent_field.slot}" for sent_field in fields)
