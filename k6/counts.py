"""How much of what there is in the core's database: what k6/run holds a scenario's own promise against."""

import sqlite3

COUNTS = {
    "coupons issued": "select count(*) from coupon",
    "coupons left": "select coalesce(sum(remaining), 0) from campaign",
    "customers with two coupons": "select count(*) from (select 1 from coupon group by campaign_id, customer_id having count(*) > 1)",
    "coupons in use": "select count(*) from coupon_use",
    "units sold": "select sold from stock where product_id = 'poster'",
    "units held": "select held from stock where product_id = 'poster'",
    "units available": "select available from stock where product_id = 'poster'",
    "booked orders": "select count(*) from reservation where state = 'booked'",
    "units of booked orders": """
        select coalesce(sum(l.quantity), 0) from reservation_line l join reservation r on r.id = l.reservation_id
         where r.state = 'booked' and l.product_id = 'poster'""",
    "units paid for": """
        select coalesce(sum(l.quantity), 0) from reservation_line l join reservation r on r.id = l.reservation_id
          join transactions t on t.reservation_id = r.id and t.state = 'completed'
         where l.product_id = 'poster'""",
    "payments that failed": "select count(*) from attempt where state in ('failed', 'cancelled')",
    "orders that ran out": "select count(*) from reservation where reason = 'not_paid_in_time'",
    "latest release after a deadline in ms": """
        select coalesce(max(m.at_ms - r.created_at - r.pay_ms), 0)
          from stock_movement m join reservation r on r.id = m.reservation_id
         where m.kind = 'release' and r.reason = 'not_paid_in_time'""",
    "unfinished orders": "select count(*) from reservation where state in ('checkout', 'paying', 'closing')",
}


def read(folder):
    """All of them, by name."""
    core = sqlite3.connect(f"file:{folder / 'core.db'}?mode=ro", uri=True)
    return {name: core.execute(query).fetchone()[0] for name, query in COUNTS.items()}
