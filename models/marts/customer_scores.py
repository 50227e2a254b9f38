"""How good a customer is: recency, frequency and money, each from 1 to 5."""

import polars as pl


def model(project):
    """One row per customer with an order."""
    project.config(materialized="table")
    customers = project.ref("customers").filter(pl.col("orders") > 0).sort("person_id")
    scored = customers.select(
        "person_id",
        recency_score=fifth("days_since_last_order", descending=True),
        frequency_score=fifth("orders"),
        money_score=fifth("lifetime_revenue"),
    )
    active = scored["recency_score"] >= 6 - project.var("active_fifths", 2)
    valued = scored["money_score"] >= 4
    return scored.with_columns(
        segment=pl.when(active & valued).then(pl.lit("champion"))
        .when(active).then(pl.lit("active"))
        .when(valued).then(pl.lit("at risk"))
        .otherwise(pl.lit("quiet"))
    )


def fifth(column, descending=False):
    """1 for the worst fifth of the customers, 5 for the best."""
    place = pl.col(column).rank("ordinal", descending=descending).cast(pl.Int64) - 1
    return place * 5 // pl.len() + 1
