"""Asks the databases, not the program: do stock, seats, orders, coupons, messages and money agree? Links nothing of ours.

usage: python3 k6/books.py DATA_DIR        (the folder with core.db and sandbox.db)
       python3 k6/books.py CORE SANDBOX    (CORE: a file, or mysql://user:password@host:port/database; SANDBOX: a file)
Prints a line for each identity, `ok` or `FAILED`, and exits 1 if one does not hold. MariaDB is asked with its client,
`mariadb`. Messages that are on their way get ten seconds to arrive.
"""

import os
import pathlib
import sqlite3
import subprocess
import sys
import time
import urllib.parse

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
           and due_at + 1000 < {NOW}""",
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
    "C1 stock: each line was held, sold and given back as often as its order's state says": """
        select r.id, l.line_no from reservation r join reservation_line l on l.reservation_id = r.id
         where l.product_id is not null
           and ((r.state in ('held', 'checkout', 'paying', 'closing', 'review')) <> (
                select coalesce(sum(case m.kind when 'hold' then 1 when 'sell' then -1 when 'release' then -1 else 0 end), 0)
                  from stock_movement m where m.reservation_id = r.id and m.line_no = l.line_no)
                or (r.state = 'booked') <> (
                select coalesce(sum(case m.kind when 'sell' then 1 when 'retake' then 1 when 'return' then -1 else 0 end), 0)
                  from stock_movement m where m.reservation_id = r.id and m.line_no = l.line_no))""",
    "C1 stock: what is held and what is sold is what all movements come to": """
        select s.product_id from stock s
         where s.held <> (select coalesce(sum(case m.kind when 'hold' then m.quantity when 'sell' then -m.quantity
                                                          when 'release' then -m.quantity else 0 end), 0)
                            from stock_movement m where m.product_id = s.product_id)
            or s.sold <> (select coalesce(sum(case m.kind when 'sell' then m.quantity when 'retake' then m.quantity
                                                          when 'return' then -m.quantity else 0 end), 0)
                            from stock_movement m where m.product_id = s.product_id)""",
    "C1 seats: a seat that is kept has one live order": """
        select s.screening_id, s.seat_no from seat s
         where s.state in ('held', 'pending')
           and 1 <> (select count(*) from reservation r join reservation_line l on l.reservation_id = r.id
                      where r.id = s.reservation_id and r.screening_id = s.screening_id and l.seat_no = s.seat_no
                        and r.state in ('held', 'checkout', 'paying', 'closing', 'review'))""",
    "C2 money: what came for an order that is not booked went back": """
        select a.id from attempt a join transactions t on t.id = a.transaction_id
          join reservation r on r.id = t.reservation_id
         where a.state = 'captured' and r.state not in ('booked', 'reversed')
           and a.amount <> (select coalesce(sum(f.amount), 0) from refund f
                             where f.attempt_id = a.id and f.state = 'succeeded')""",
    "C4 outbox: what was told was heard, nothing waits and nothing is dead": """
        select id, kind, state from outbox where state in ('ready', 'dead')""",
    "C4 inbox: what was heard was heard once, by those whom it was for": """
        select o.id from outbox o
         where o.state = 'done'
           and 1 <> (select count(*) from inbox i where i.message_id = o.id)""",
    "C4 inbox: nothing was heard that was not told": """
        select i.message_id from inbox i
          left join outbox o on o.id = i.message_id and o.consumer = i.consumer and o.state = 'done'
         where o.id is null""",
    "C4 outbox: an order is told to be booked once, and only if it is": """
        select o.order_id from outbox o
          left join reservation r on r.id = o.order_id and r.state in ('booked', 'cancelled', 'reversed')
         where o.kind = 'order_booked' group by o.order_id, r.id having count(*) > 1 or r.id is null""",
}
ON_THEIR_WAY = "select count(*) from outbox where state = 'ready'"
QUIET_WITHIN_S = 10
BOOKED = """
    select coalesce(sum(t.amount), 0) from transactions t join reservation r on r.id = t.reservation_id
     where r.state = 'booked'"""
STANDALONE = """
    select coalesce(sum(amount), 0) from transactions where reservation_id is null and state = 'completed'"""
AT_PROVIDER = "select coalesce(sum(captured - refunded), 0) from charge"


class Sqlite:
    now = "cast(unixepoch('subsec') * 1000 as integer)"

    def __init__(self, path):
        self.connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)

    def rows(self, query):
        return self.connection.execute(query).fetchall()


class MariaDb:
    now = "cast(unix_timestamp(now(3)) * 1000 as signed)"

    def __init__(self, url):
        at = urllib.parse.urlsplit(url)
        self.command = ["mariadb", "--no-defaults", "--protocol=tcp", "--batch", "--skip-column-names",
                        "-h", at.hostname, "-P", str(at.port or 3306), "-u", at.username or "root", at.path.strip("/")]
        self.environment = dict(os.environ, MYSQL_PWD=urllib.parse.unquote(at.password or ""))

    def rows(self, query):
        asked = subprocess.run(self.command, input=query.encode(), env=self.environment, capture_output=True, check=False)
        if asked.returncode:
            sys.exit(f"FAILED {asked.stderr.decode(errors='replace').strip()}")
        rows = [line.split("\t") for line in asked.stdout.decode(errors="replace").splitlines()]
        return [[int(value) if value.lstrip("-").isdigit() else value for value in row] for row in rows]


def until_quiet(core):
    end = time.monotonic() + QUIET_WITHIN_S
    while core.rows(ON_THEIR_WAY)[0][0] and time.monotonic() < end:
        time.sleep(0.2)


def main(core, sandbox):
    core = MariaDb(core) if core.startswith(("mysql://", "mariadb://")) else Sqlite(core)
    sandbox = Sqlite(sandbox)
    until_quiet(core)
    verdicts = [(name, core.rows(query.replace("{NOW}", core.now))) for name, query in CORE.items()]
    ours = core.rows(BOOKED)[0][0] + core.rows(STANDALONE)[0][0]
    theirs = sandbox.rows(AT_PROVIDER)[0][0]
    verdicts.append((f"C2 money: {theirs} captured - refunded at the provider = {ours} paid for", [] if ours == theirs else [(ours, theirs)]))
    for name, broken in verdicts:
        print(f"{'FAILED' if broken else 'ok '} {name}{f': {broken[:5]}' if broken else ''}")
    return 1 if any(broken for _, broken in verdicts) else 0


if __name__ == "__main__":
    if len(sys.argv) == 2:
        folder = pathlib.Path(sys.argv[1])
        sys.exit(main(str(folder / "core.db"), str(folder / "sandbox.db")))
    if len(sys.argv) == 3:
        sys.exit(main(sys.argv[1], sys.argv[2]))
    sys.exit(__doc__)
