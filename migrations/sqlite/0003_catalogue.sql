-- Sales with a beginning and an end, limits for each customer, the rule about single seats, one extension of a hold, and
-- booked orders that are cancelled or reversed. Null where a sale does not ask for it.
alter table sale add column starts_at integer;
alter table sale add column ends_at integer;
alter table sale add column seats_per_customer_max integer check (seats_per_customer_max > 0);
alter table sale add column orphans text not null default 'off' check (orphans in ('off', 'warn', 'deny'));
alter table sale add column extend_ms integer not null default 0 check (extend_ms >= 0);
alter table sale add column cancel_until integer;
alter table product add column per_customer_max integer check (per_customer_max > 0);

-- A check cannot be altered, so the table is made anew under its name; the rows that refer to it find it at the commit.
pragma defer_foreign_keys = on;
create table reservation_before as select * from reservation;
drop table reservation;
create table reservation (
    id blob not null primary key check (length(id) = 16),
    sale_id text not null references sale (id),
    screening_id text references screening (id),
    customer_id blob not null references customer (id),
    state text not null
        check (state in
            ('held', 'checkout', 'paying', 'closing', 'booked', 'released', 'review', 'cancelled', 'reversed')),
    due_at integer,
    pay_until integer,
    pay_ms integer not null,
    amount integer not null check (amount >= 0),
    currency text not null,
    reason text,
    ticket_code text unique,
    version integer not null,
    created_at integer not null,
    updated_at integer not null,
    extended integer not null default 0 check (extended in (0, 1))
) strict;
insert into reservation
       (id, sale_id, screening_id, customer_id, state, due_at, pay_until, pay_ms, amount, currency, reason,
        ticket_code, version, created_at, updated_at)
select id, sale_id, screening_id, customer_id, state, due_at, pay_until, pay_ms, amount, currency, reason,
       ticket_code, version, created_at, updated_at
  from reservation_before;
drop table reservation_before;
create index reservation_due on reservation (state, due_at);
create index reservation_customer on reservation (customer_id, created_at);

create table stock_movement_new (
    reservation_id blob not null,
    line_no integer not null,
    kind text not null check (kind in ('hold', 'sell', 'release', 'retake', 'return')),
    product_id text not null references product (id),
    quantity integer not null check (quantity > 0),
    at_ms integer not null,
    primary key (reservation_id, line_no, kind)
) strict;
insert into stock_movement_new (reservation_id, line_no, kind, product_id, quantity, at_ms)
select reservation_id, line_no, kind, product_id, quantity, at_ms from stock_movement;
drop table stock_movement;
alter table stock_movement_new rename to stock_movement;

-- What a person decided about an order, once for each kind.
create table decision (
    reservation_id blob not null references reservation (id),
    kind text not null check (kind in ('booked', 'released', 'cancelled', 'reversed')),
    who text not null,
    note text not null,
    at_ms integer not null,
    primary key (reservation_id, kind)
) strict;
