"""Asks the databases, not the program: do stock, seats, orders, coupons and money agree? Links nothing of ours.

usage: python3 k6/books.py DATA_DIR   (the folder with core.db and sandbox.db)
Prints a line for each identity, `ok` or `FAILED`, and exits 1 if one does not hold.
"""

import pathlib
import sqlite3
import sys

# Each query lists what breaks the identity; it holds where the list is empty.
CORE = {
    "C1 stock: available + held + sold = capacity, none negative": """
        select * from stock
         where available + held + sold <> capacity or available < 0 or held < 0 or sold < 0""",
    "C1 stock: what is sold is what booked orders say": """
        select s.product_id from stock s
         where s.sold <> (select coalesce(sum(l.quantity), 0) from reservation_line l
                            join reservation r on r.id = l.reservation_id
                           where l.product_id = s.product_id and r.state = 'booked')""",
    "C1 seats: a booked order owns each of its seats": """
        select l.seat_no from reservation_line l
          join reservation r on r.id = l.reservation_id
          left join seat s on s.screening_id = r.screening_id and s.seat_no = l.seat_no
               and s.reservation_id = r.id and s.state = 'sold'
         where r.state = 'booked' and l.seat_no is not null and s.seat_no is null""",
    "C1 seats: a sold seat has exactly one booked order": """
        select s.screening_id, s.seat_no from seat s
         where s.state = 'sold'
           and 1 <> (select count(*) from reservation_line l join reservation r on r.id = l.reservation_id
                      where r.screening_id = s.screening_id and l.seat_no = s.seat_no and r.state = 'booked')""",
    "C2 money: a booked order has one completed transaction of its amount": """
        select r.id from reservation r
         where r.state = 'booked' and r.amount > 0
           and 1 <> (select count(*) from transactions t
                      where t.reservation_id = r.id and t.state = 'completed'
                        and t.amount = r.amount and t.currency = r.currency)""",
    "C2 money: one captured attempt at most for a transaction": """
        select transaction_id from attempt where state = 'captured' group by transaction_id having count(*) > 1""",
    "C5 holds: none outlives its deadline by more than a second": """
        select id from reservation
         where state in ('held', 'checkout') and due_at is not null
           and due_at + 1000 < cast(unixepoch('subsec') * 1000 as integer)""",
    "C2 money: nobody pays for an order that costs nothing": """
        select t.id from transactions t join reservation r on r.id = t.reservation_id where r.amount = 0""",
    "C6 coupons: issued + remaining = total": """
        select c.id from campaign c
         where c.remaining <> c.total - (select count(*) from coupon k where k.campaign_id = c.id)""",
    "C6 coupons: one for a customer": """
        select campaign_id, customer_id from coupon group by campaign_id, customer_id having count(*) > 1""",
    "C6 coupons: a live order with a coupon has it, and it alone": """
        select r.id from reservation r
         where r.coupon_code is not null and r.state in ('checkout', 'paying', 'closing', 'review', 'booked')
           and 1 <> (select count(*) from coupon_use u where u.code = r.coupon_code and u.reservation_id = r.id)""",
    "C6 coupons: a coupon in use has a live order of its customer": """
        select u.code from coupon_use u join coupon k on k.code = u.code
         where not exists (select 1 from reservation r
                            where r.id = u.reservation_id and r.coupon_code = u.code and r.customer_id = k.customer_id
                              and r.state in ('checkout', 'paying', 'closing', 'review', 'booked'))""",
    "C6 coupons: what they took off is what the lines come to above the price": """
        select r.id from reservation r
         where r.amount + r.discount <> (select sum(l.quantity * l.price) from reservation_line l
                                          where l.reservation_id = r.id)""",
}
BOOKED = """
    select coalesce(sum(t.amount), 0) from transactions t join reservation r on r.id = t.reservation_id
     where r.state = 'booked'"""
STANDALONE = """
    select coalesce(sum(amount), 0) from transactions where reservation_id is null and state = 'completed'"""
AT_PROVIDER = "select coalesce(sum(captured - refunded), 0) from charge"


def main(folder):
    core = sqlite3.connect(f"file:{folder / 'core.db'}?mode=ro", uri=True)
    sandbox = sqlite3.connect(f"file:{folder / 'sandbox.db'}?mode=ro", uri=True)
    verdicts = [(name, core.execute(query).fetchall()) for name, query in CORE.items()]
    ours = core.execute(BOOKED).fetchone()[0] + core.execute(STANDALONE).fetchone()[0]
    theirs = sandbox.execute(AT_PROVIDER).fetchone()[0]
    verdicts.append((f"C2 money: {theirs} captured - refunded at the provider = {ours} paid for", [] if ours == theirs else [(ours, theirs)]))
    for name, broken in verdicts:
        print(f"{'FAILED' if broken else 'ok '} {name}{f': {broken[:5]}' if broken else ''}")
    return 1 if any(broken for _, broken in verdicts) else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1])))
