"""Make the raw files of the example: `python data/make.py`.

One seeded generator draws a shop's people and lets them leave traces in five silos, under
different keys and with the dirt that real exports have. Same script, same files.
"""
# ruff: noqa: SIM905 - a list of words reads best as words

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import random
import re
import sqlite3
import unicodedata
import zipfile
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl

HERE = Path(__file__).resolve().parent
DRAW = random.Random(20240701)
OPENED = date(2022, 1, 1)  # first order
TRACKED = date(2024, 1, 1)  # first web event
CLOSED = date(2024, 6, 30)  # last day in every silo

FIRST = (
    "Ada Aisha Alma Amir Ana André Anouk Ben Björn Carla Chloé Clara Dana David Diego Elena Elif "
    "Emma Erik Eva Farid Fatma Finn Freya Greta Hana Hugo Ida Ines Ivan Jana Jonas José Julia "
    "Karim Lara Lea Leo Lina Luca Łukasz Maja Marta Max Mia Milan Nadia Nina Noah Nora Olga Omar "
    "Oskar Paula Petra Rosa Sami Sara Sofia Sven Tara Tom Vera Yara Zoë"
).split()
LAST = (
    "Adeyemi Almeida Andersen Bakker Bauer Becker Bianchi Böhm Costa Dahl Demir Dubois Eriksen "
    "Fischer Fontaine García Gruber Haddad Hansen Hofer Horvat Ibrahim Jansen Jensen Kaya Keller "
    "Klein Kowalski Kovač Krüger Lang Larsen Lefèvre Lopez Lund Maier Marino Martin Meyer Moreau "
    "Mäkinen Navarro Nielsen Novak Okafor Olsen Peeters Petit Popescu Ricci Romano Rossi Santos "
    "Schmidt Silva Simon Smit Sørensen Torres Virtanen Visser Vogel Weber Wolf Yılmaz Zimmermann"
).split()
PLACES = {  # country: its weight and cities with the start of their postal codes
    "DE": (30, [("Berlin", "10"), ("Hamburg", "20"), ("Dresden", "01")]),
    "FR": (18, [("Paris", "75"), ("Lyon", "69"), ("Bourg-en-Bresse", "01")]),
    "ES": (12, [("Barcelona", "08"), ("Madrid", "28")]),
    "NL": (10, [("Utrecht", "35"), ("Leiden", "23")]),
    "AT": (9, [("Graz", "80"), ("Linz", "40")]),
    "US": (8, [("Portland, OR", "97"), ("Austin, TX", "78")]),
    "SE": (6, [("Malmö", "21")]),
    "NA": (3, [("Windhoek", "10")]),  # Namibia: a code that careless tools read as null
    "BR": (4, [("São Paulo", "01")]),
}
CAMPAIGNS = (  # id, name in the ad platform, name in the links, channel, cost of a click
    ("c-101", "Winter Sale 2024", "winter_sale_2024", "search", 0.42),
    ("c-102", "Spring Sale 2024", "spring-sale-2024", "search", 0.38),
    ("c-103", "New Arrivals", "new_arrivals", "social", 0.29),
    ("c-104", "Brand", "BRAND", "search", 0.18),
    ("c-105", "Summer Preview", "Summer%20Preview", "social", 0.33),
)
RUNS = {  # first and last month of a campaign
    "c-101": (1, 2),
    "c-102": (3, 5),
    "c-103": (1, 6),
    "c-104": (1, 6),
    "c-105": (5, 6),
}
STATUSES = {  # what the shop writes for one and the same status
    "delivered": ["delivered", "Delivered", "DELIVERED", "completed"],
    "shipped": ["shipped", "Shipped", "in transit"],
    "paid": ["paid", "Paid"],
    "returned": ["returned", "Returned"],
    "cancelled": ["cancelled", "canceled", "Cancelled"],
}
MONTHS = (
    "January February March April May June July August September October November December"
).split()


@dataclass
class Person:
    number: int
    first: str
    last: str
    email: str
    country: str
    city: str
    postcode: str
    phone: str
    born: date
    since: date
    contact_id: int | None = None
    customer_id: int | None = None
    anonymous_ids: list[str] = field(default_factory=list)
    shop_email: str = ""


@dataclass
class Order:
    order_id: int
    person: Person
    guest: bool
    status: str
    method: str
    at: datetime
    lines: list[tuple[str, int, int]]
    shipping: int
    discount: int

    @property
    def total(self) -> int:
        goods = sum(quantity * cents for _, quantity, cents in self.lines)
        return goods + self.shipping - self.discount


def some_id(prefix: str, *parts: object) -> str:
    return prefix + hashlib.sha256(":".join(map(str, parts)).encode()).hexdigest()[:12]


def plain(name: str) -> str:
    text = unicodedata.normalize("NFKD", name.replace("ø", "o").replace("Ł", "L"))
    return "".join(c for c in text.replace("ı", "i") if c.isascii() and c.isalpha()).lower()


def some_day(first: date, last: date) -> date:
    return first + timedelta(days=DRAW.randint(0, max(0, (last - first).days)))


def some_moment(day: date) -> datetime:
    hour = DRAW.choices(range(24), [1] * 7 + [4] * 10 + [8] * 5 + [2] * 2)[0]
    clock = {"hour": hour, "minute": DRAW.randint(0, 59), "second": DRAW.randint(0, 59)}
    return datetime(day.year, day.month, day.day, **clock, tzinfo=UTC)


def iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def long_date(day: date) -> str:
    return f"{MONTHS[day.month - 1]} {day.day} {day.year}"


def millis(at: datetime) -> int:
    return int(at.timestamp()) * 1000 + DRAW.randint(0, 999)


def retyped(email: str) -> str:
    """Return the address as people and forms write it: other case, spaces, a plus-tag."""
    name, _, host = email.partition("@")
    forms = [email, email.upper(), f"{name.title()}@{host}", f"{email} ", f"{name}+shop@{host}"]
    return DRAW.choices(forms, [70, 6, 12, 7, 5])[0]


# ---------------------------------------------------------------- the people
def make_person(number: int) -> Person:
    first, last = DRAW.choice(FIRST), DRAW.choice(LAST)
    country = DRAW.choices(list(PLACES), [weight for weight, _ in PLACES.values()])[0]
    city, start = DRAW.choice(PLACES[country][1])
    host = DRAW.choice(["example.com", "example.org", "example.net"])
    return Person(
        number=number,
        first=first,
        last=last,
        email=f"{plain(first)}.{plain(last)}{number}@{host}",
        country=country,
        city=city,
        postcode=f"{start}{DRAW.randint(0, 999):03}",
        phone=f"0{DRAW.randint(30, 99)} 555 {DRAW.randint(0, 9999):04}",
        born=some_day(date(1950, 1, 1), date(2004, 12, 31)),
        since=some_day(date(2019, 6, 1), date(2024, 5, 31)),
    )


def make_people() -> list[Person]:
    people = [make_person(number) for number in range(1, 1501)]
    for person in people[380:1380]:
        person.customer_id = 20000 + person.number
        # Some have their account under an address that no other silo knows.
        other = f"{plain(person.last)}.{person.number}@work.example"
        person.shop_email = other if DRAW.random() < 0.07 else person.email
    for person in people:
        chance = 0.6 if person.customer_id else 0.15
        devices = DRAW.choices([0, 1, 2], [1 - chance, chance * 0.8, chance * 0.2])[0]
        person.anonymous_ids = [some_id("a-", person.number, n) for n in range(devices)]
    return people


# ---------------------------------------------------------------- crm: contacts
CONTACT = (
    "contact_id first_name last_name email phone country city postcode birth_date signup_date "
    "status notes updated_at"
).split()
NOTES = [
    "",
    "",
    "",
    "",
    "VIP",
    'Prefers "express" delivery',
    "Asked for a call back,\nafter 6 pm",
    "Moved, new address pending",
]


def contact_row(person: Person, updated: date) -> dict[str, str]:
    email = DRAW.choices([retyped(person.email), "", "n/a", "info@example.com"], [94, 3, 2, 1])[0]
    first = DRAW.choices([person.first, f" {person.first}", person.first.upper()], [88, 6, 6])[0]
    return {
        "contact_id": str(person.contact_id),
        "first_name": first,
        "last_name": DRAW.choices([person.last, f"{person.last}  "], [93, 7])[0],
        "email": email,
        "phone": person.phone,
        "country": DRAW.choices([person.country, person.country.lower()], [92, 8])[0],
        "city": person.city,
        "postcode": person.postcode,
        "birth_date": long_date(person.born) if DRAW.random() < 0.8 else "",
        "signup_date": long_date(person.since),
        "status": DRAW.choices(["active", "Active", "unsubscribed"], [76, 8, 16])[0],
        "notes": DRAW.choice(NOTES),
        "updated_at": long_date(updated),
    }


def make_contacts(people: list[Person]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Return the yearly export and the one after it, which adds a column and corrects rows."""
    members = sorted(people[:1110], key=lambda person: (person.since, person.number))
    older, newer = [], []
    for place, person in enumerate(members):
        person.contact_id = 1001 + place
        older.append(contact_row(person, some_day(person.since, date(2024, 5, 31))))
    for place, person in enumerate(DRAW.sample(members, 34)):  # entered twice, by two people
        twin = contact_row(person, some_day(date(2024, 6, 1), date(2024, 6, 20)))
        newer.append({**twin, "contact_id": str(2401 + place), "first_name": person.first[:1]})
    older, late = older[:1050], older[1050:]
    newer = late + newer
    for row in DRAW.sample(older, 60):
        day = some_day(date(2024, 6, 1), CLOSED)
        newer.append({**row, "status": "unsubscribed", "updated_at": long_date(day)})
    for row in newer:
        row["newsletter"] = DRAW.choice(["yes", "Y", "1", "no", ""])
    return older, newer


def write_contacts(older: list[dict[str, str]], newer: list[dict[str, str]]) -> None:
    text = csv_text(CONTACT, older).splitlines(keepends=True)
    # A comma that nobody quoted: one value too many.
    text.append(
        "1999,Kim,Torres,kim.torres@example.com,030 555 0000,DE,Berlin, Mitte,10115,"
        "May 5 1990,March 3 2021,active,,March 3 2021\n"
    )
    write("crm/contacts_2023.csv", "".join(text).encode())
    text = csv_text([*CONTACT, "newsletter"], newer).splitlines(keepends=True)
    # An id that is not a number.
    text.append(
        "to be assigned,Robin,Maier,robin.maier@example.org,040 555 0001,AT,Graz,80010,,"
        "June 28 2024,active,,June 28 2024,yes\n"
    )
    write("crm/contacts_2024.csv", "".join(text).encode())


def csv_text(header: list[str], rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


# ---------------------------------------------------------------- shop: a SQLite database
def make_products() -> list[tuple[str, str, str, int, int, int]]:
    kinds = {"Mug": 1290, "Lamp": 5900, "Blanket": 4450, "Vase": 2380, "Chair": 14900, "Tray": 1990}
    colours = ["Sand", "Moss", "Ink", "Clay", "Snow", "Rust", "Fog", "Plum"]
    products = []
    for kind, cents in kinds.items():
        for colour in colours:
            sku = f"SKU-{len(products) + 1:03}"
            price = cents + DRAW.randint(-4, 6) * 50
            active = int(DRAW.random() > 0.1)
            products.append(
                (sku, f"{kind} {colour}", kind.lower(), price, 1 + len(products) % 7, active)
            )
    return products


def make_orders(people: list[Person], products: list[tuple[Any, ...]]) -> list[Order]:
    found: list[tuple[datetime, Person, bool]] = []
    for person in people[380:]:
        guest = person.customer_id is None
        begin = some_day(OPENED, date(2024, 5, 31))
        end = min(CLOSED, begin + timedelta(days=int(DRAW.expovariate(1 / 420))))
        count = 1 if guest else 1 + int(DRAW.expovariate(1 / 2.6))
        for _ in range(count):
            by_guest = guest or DRAW.random() < 0.03
            found.append((some_moment(some_day(begin, end)), person, by_guest))
    found.sort(key=lambda each: (each[0], each[1].number))
    return [
        make_order(100001 + place, *each, products=products) for place, each in enumerate(found)
    ]


def make_order(
    order_id: int, at: datetime, person: Person, guest: bool, *, products: list[tuple[Any, ...]]
) -> Order:
    lines = []
    for product in DRAW.sample(products, DRAW.choices([1, 2, 3, 4], [45, 30, 17, 8])[0]):
        lines.append((product[0], DRAW.choices([1, 2, 4], [75, 20, 5])[0], product[3]))
    if at.date() > CLOSED - timedelta(days=6):
        status = DRAW.choice(["paid", "shipped"])
    else:
        status = DRAW.choices(["delivered", "returned", "cancelled"], [87, 7, 6])[0]
    goods = sum(quantity * cents for _, quantity, cents in lines)
    return Order(
        order_id=order_id,
        person=person,
        guest=guest,
        status=status,
        method=DRAW.choices(["card", "paypal", "invoice"], [55, 30, 15])[0],
        at=at,
        lines=lines,
        shipping=0 if goods > 8000 else 490,
        discount=round(goods * 0.1) if DRAW.random() < 0.12 else 0,
    )


SHOP = """
create table accounts (
    customer_id integer primary key, email text, full_name text, country text, created_at text
);
create table products (
    sku text primary key, title text, category text, price_cents integer, supplier_no integer,
    active integer
);
create table orders (
    order_id integer primary key, customer_id integer, email text, status text,
    payment_method text, shipping_cents integer, discount_cents integer, total_cents integer,
    ordered_at text, updated_at text
);
create table order_items (
    order_id integer, line_no integer, sku text, quantity integer, unit_price_cents integer,
    primary key (order_id, line_no)
) without rowid;
create table order_items_archive (
    order_id integer, line_no integer, sku text, quantity integer, unit_price_cents integer,
    primary key (order_id, line_no)
) without rowid;
"""


def account_row(person: Person, first_order: datetime) -> tuple[Any, ...]:
    name = f"{person.first} {person.last}"
    name = DRAW.choices([name, name.lower(), f"{person.last}, {person.first}"], [85, 8, 7])[0]
    created = iso(first_order - timedelta(minutes=DRAW.randint(3, 30)))
    return (person.customer_id, retyped(person.shop_email), name, person.country, created)


def order_row(order: Order) -> tuple[Any, ...]:
    person = order.person
    email = retyped(person.email if order.guest else person.shop_email)
    later = order.at + timedelta(days=DRAW.randint(1, 5), minutes=DRAW.randint(0, 999))
    updated = min(later, datetime(2024, 6, 30, 23, 59, 59, tzinfo=UTC))
    return (
        order.order_id,
        None if order.guest else person.customer_id,
        email,
        DRAW.choice(STATUSES[order.status]),
        DRAW.choices([order.method, order.method.title()], [95, 5])[0],
        order.shipping,
        order.discount,
        order.total,
        iso(order.at),
        iso(updated),
    )


def trial_orders() -> list[tuple[Any, ...]]:
    """Return the orders that the shop's makers placed to try it out."""
    rows = []
    for number in range(12):
        at = iso(some_moment(some_day(OPENED, CLOSED)))
        rows.append((900001 + number, None, "test@shop.example", "paid", "card", 0, 0, 1, at, at))
    return rows


def write_shop(people: list[Person], products: list[tuple[Any, ...]], orders: list[Order]) -> None:
    path = HERE / "shop" / "shop.sqlite"
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as shop:
        shop.executescript(SHOP)
        first = {order.person.number: order.at for order in reversed(orders)}
        members = [person for person in people if person.customer_id]
        accounts = [account_row(person, first[person.number]) for person in members]
        shop.executemany("insert into accounts values (?,?,?,?,?)", accounts)
        shop.executemany("insert into products values (?,?,?,?,?,?)", products)
        rows = [order_row(order) for order in orders] + trial_orders()
        shop.executemany("insert into orders values (?,?,?,?,?,?,?,?,?,?)", rows)
        for order in orders:
            table = "order_items_archive" if order.at.year < 2024 else "order_items"
            lines = [(order.order_id, n, *line) for n, line in enumerate(order.lines, 1)]
            shop.executemany(f"insert into {table} values (?,?,?,?,?)", lines)
        shop.commit()
        shop.execute("vacuum")


# ---------------------------------------------------------------- web: events in Segment's form
def make_events(people: list[Person], orders: list[Order]) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    visits = [  # before an order, people look around
        (order.person, order.at, order)
        for order in orders
        if order.at.date() >= TRACKED and order.person.anonymous_ids
    ]
    for person in people:
        for _ in range(DRAW.choice([0, 1, 1, 2]) if person.anonymous_ids else 0):
            visits.append((person, some_moment(some_day(TRACKED, CLOSED)), None))
    for person, at, order in visits:
        events += visit(person, at, order)
    for number in range(260):  # visitors who never say who they are
        nobody = Person(-number, "", "", "", "", "", "", "", OPENED, OPENED)
        nobody.anonymous_ids = [some_id("a-", "nobody", number)]
        events += visit(nobody, some_moment(some_day(TRACKED, CLOSED)), None)
    for place, event in enumerate(events):
        event["messageId"] = some_id("m-", place)
    for event in DRAW.sample(events, 60):  # a phone lost the network and sent again
        events.append({**event, "receivedAt": event["receivedAt"] + DRAW.randint(1, 90) * 1000})
    events.sort(key=lambda event: (event["receivedAt"], event["messageId"]))
    return events


def visit(person: Person, at: datetime, order: Order | None) -> list[dict[str, Any]]:
    """Return the events of one visit; with an order, it ends in that order."""
    device = DRAW.choice(person.anonymous_ids)
    start = at - timedelta(minutes=DRAW.randint(4, 40)) if order else at
    context: dict[str, Any] = {"library": {"name": DRAW.choice(["analytics.js", "ios"])}}
    if DRAW.random() < 0.42:
        context["campaign"] = campaign_of(start)
    said = [{"type": "page", "properties": {"path": DRAW.choice(["/", "/sale", "/new"])}}]
    said += [look() for _ in range(DRAW.randint(1, 4))]
    if person.email and (order or DRAW.random() < 0.5):
        said.insert(1, introduction(person))
    if order:
        said.append(completed(order))
    events = []
    for place, each in enumerate(said):
        sent = start + (at - start) * (place / (len(said) - 1) if order else 0)
        stamp = millis(sent) + (0 if order else place * 20_000)
        user = str(person.customer_id) if each.pop("signed_in", False) else None
        base = {"messageId": "", "anonymousId": device, "userId": user, "timestamp": stamp}
        events.append(
            {**base, "receivedAt": stamp + DRAW.randint(80, 4000), **each, "context": context}
        )
    return events


def campaign_of(at: datetime) -> dict[str, str]:
    running = [c for c in CAMPAIGNS if RUNS[c[0]][0] <= at.month <= RUNS[c[0]][1]]
    _, _, link, channel, _ = DRAW.choice(running)
    return {"name": link, "medium": "cpc", "source": "google" if channel == "search" else "meta"}


def look() -> dict[str, Any]:
    """Return an event of the old app or of the new one, which name things differently."""
    sku = f"SKU-{DRAW.randint(1, 48):03}"
    old = DRAW.random() < 0.4
    event = DRAW.choices(["Product Viewed", "Product Added"], [4, 1])[0]
    name = event.lower().replace(" ", "_") if old else event
    return {
        "type": "track",
        "event": name,
        "properties": {"productId" if old else "product_id": sku},
    }


def introduction(person: Person) -> dict[str, Any]:
    known = {"traits": {"email": retyped(person.email), "name": f"{person.first} {person.last}"}}
    return {"type": "identify", "signed_in": person.customer_id is not None, **known}


def completed(order: Order) -> dict[str, Any]:
    event = DRAW.choice(["Order Completed", "order_completed"])
    properties = {"order_id": order.order_id, "revenue": order.total / 100}
    return {
        "type": "track",
        "event": event,
        "properties": properties,
        "signed_in": not order.guest and DRAW.random() < 0.9,
    }


def write_events(events: list[dict[str, Any]]) -> None:
    half = datetime(2024, 4, 1, tzinfo=UTC).timestamp() * 1000
    for name, wanted in (("q1", True), ("q2", False)):
        lines = [
            json.dumps({k: v for k, v in event.items() if v is not None}, separators=(",", ":"))
            for event in events
            if (event["receivedAt"] < half) is wanted
        ]
        text = ("\n".join(lines) + "\n").encode()
        write(f"web/events_2024_{name}.ndjson.gz", gzip.compress(text, 9, mtime=0))


# ---------------------------------------------------------------- ads: parquet and JSON
def write_ads() -> None:
    rows = []
    for number in range((CLOSED - TRACKED).days + 1):
        day = TRACKED + timedelta(days=number)
        for key, name, _, _, price in CAMPAIGNS:
            if RUNS[key][0] <= day.month <= RUNS[key][1]:
                clicks = DRAW.randint(4, 30)
                label = DRAW.choices([name, name.upper(), f"{name} "], [90, 6, 4])[0]
                rows.append((label, day, round(clicks * price * DRAW.uniform(0.8, 1.2), 2), clicks))
    frame = pl.DataFrame(rows, schema=["campaign", "day", "cost", "clicks"], orient="row")
    path = HERE / "ads" / "spend.parquet"
    path.parent.mkdir(exist_ok=True)
    frame.write_parquet(path)
    known = [
        {"id": key, "name": name, "channel": channel, "budget": {"currency": "EUR", "daily": 12}}
        for key, name, _, channel, _ in CAMPAIGNS
    ]
    document = {"data": {"items": known}}
    write("ads/campaigns.json", (json.dumps(document, indent=2) + "\n").encode())


# ---------------------------------------------------------------- finance: Excel and an old ERP
REASONS = ["damaged", "Damaged", "late", "wrong item", "changed mind", None]


# As a bank's portal exports it: lines about the report first, numbers and days the German way.
PAYOUTS = """Umsätze vom;01.06.2024
Konto;Geschäftskonto
Buchung;Tag;Betrag
03.06.2024 09:15;03.06.2024;1.204,50
10.06.2024 09:15;10.06.2024;987,00
# Ende des Monats
28.06.2024 17:40;28.06.2024;12.310,25
"""


def refund_rows(orders: list[Order]) -> list[tuple[str, str, str, str | None]]:
    rows: list[tuple[date, str, int]] = []
    for order in orders:
        share = {"returned": 1.0, "delivered": 0.5}.get(order.status, 0)
        if not share or (order.status == "delivered" and DRAW.random() > 0.02):
            continue
        number = DRAW.choices(
            [f"SO-{order.order_id}", f"so-{order.order_id} ", f"SO {order.order_id}"], [88, 7, 5]
        )[0]
        day = min(CLOSED, order.at.date() + timedelta(days=DRAW.randint(5, 30)))
        rows.append((day, number, round(order.total * share)))
    for number in ("SO-100", "SO-101", "SO-102"):  # telephone orders, never seen by the shop
        rows.append((some_day(OPENED, CLOSED), number, 1_000_00 + DRAW.randint(0, 99999)))
    rows.sort()
    return [
        (number, day.strftime("%m%d%Y"), f"{cents / 100:,.2f}", DRAW.choice(REASONS))
        for day, number, cents in rows
    ]


def write_refunds(orders: list[Order]) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Refunds"
    rows = refund_rows(orders)
    sheet.append(["Refunds 2022 to 2024, accounting"])
    sheet.append([])
    sheet.append(["Order number", "Refund date", "Amount", "Reason"])
    for row in rows:
        sheet.append(row)
    total = sum(float(amount.replace(",", "")) for _, _, amount, _ in rows)
    sheet.append(["Total", None, f"{total:,.2f}", None])
    fees = book.create_sheet("Fees")
    fees["A1"] = "What a payment costs us"
    table = [
        ("method", "percent", "fixed"),
        ("card", 1.4, 0.25),
        ("paypal", 2.49, 0.35),
        ("invoice", 0.9, 0.8),
    ]
    for place, row in enumerate(table, 3):
        for column, value in zip("BCD", row, strict=True):
            fees[f"{column}{place}"] = value
    fees["B9"] = "Valid since January 2022"
    text = io.BytesIO()
    book.save(text)
    write("finance/refunds.xlsx", same_every_time(text.getvalue()))


def same_every_time(xlsx: bytes) -> bytes:
    """Return the workbook without the hour at which it was written."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(xlsx)) as old, zipfile.ZipFile(out, "w") as new:
        for name in sorted(old.namelist()):
            entry = zipfile.ZipInfo(name, (2024, 7, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            text = old.read(name)
            if name == "docProps/core.xml":
                text = re.sub(rb"\d{4}-\d\d-\d\dT[\d:]+Z", b"2024-07-01T00:00:00Z", text)
            new.writestr(entry, text)
    return out.getvalue()


SUPPLIERS = """\
supplier_no;name;city;discount;contact
1;'Töpferei Krüger';Köln;12,5;'Krüger, Uwe'
2;'Lampes & Lumière; Lyon';Lyon;8,0;-
3;'Väveri Norrland';Umeå;10,0;'Åsa Lund'
4;'Cerámica del Sur';Málaga;n/a;'José Marín'
5;'Møbel Østergaard';Århus;15,0;-
6;'Tablett ''N'' Co';Zürich;5,5;'Zoë Frei'
7;'Glashütte Böhm';Dresden;n/a;n/a
"""


def write(name: str, content: bytes) -> None:
    path = HERE / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def main() -> None:
    people = make_people()
    older, newer = make_contacts(people)
    write_contacts(older, newer)
    products = make_products()
    orders = make_orders(people, products)
    write_shop(people, products, orders)
    events = make_events(people, orders)
    write_events(events)
    write_ads()
    write_refunds(orders)
    write("finance/suppliers.csv", SUPPLIERS.encode("latin-1"))
    write("finance/payouts.csv", PAYOUTS.encode("windows-1252"))
    print(f"{len(older) + len(newer):,} contacts, {len(orders):,} orders, {len(events):,} events")


if __name__ == "__main__":
    main()
