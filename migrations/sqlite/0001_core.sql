-- Catalogue, customers, reservations, coupons, idempotency. Ids are 16 bytes, money is minor units, times are epoch ms.
create table sale (
    id text not null primary key,
    title text not null,
    currency text not null check (length(currency) = 3),
    hold_ms integer not null check (hold_ms > 0),
    pay_ms integer not null check (pay_ms > 0),
    seats_max integer not null check (seats_max between 1 and 16)
) strict;

create table film (
    id text not null primary key,
    title text not null,
    synopsis text not null,
    genre text not null,
    minutes integer not null,
    poster_url text not null,
    place integer not null
) strict;

create table screening (
    id text not null primary key,
    sale_id text not null references sale (id),
    film_id text not null references film (id),
    hall text not null,
    starts_at integer not null
) strict;
create index screening_film on screening (film_id, starts_at);
create index screening_sale on screening (sale_id);

-- free_after: from then on the seat is free again by itself, whoever holds it; null while money may be on its way.
create table seat (
    screening_id text not null references screening (id),
    seat_no text not null,
    row_name text not null,
    seat_number integer not null,
    section text not null,
    kind text not null check (kind in ('standard', 'wheelchair')),
    price integer not null check (price >= 0),
    place integer not null,
    state text not null check (state in ('free', 'held', 'pending', 'sold', 'blocked')),
    reservation_id blob,
    free_after integer,
    primary key (screening_id, seat_no),
    check ((state in ('free', 'blocked')) = (reservation_id is null))
) strict;
create index seat_reservation on seat (reservation_id);

create table product (
    id text not null primary key,
    sale_id text not null references sale (id),
    title text not null,
    price integer not null check (price >= 0),
    per_order_max integer not null check (per_order_max > 0),
    place integer not null
) strict;
create index product_sale on product (sale_id);

create table stock (
    product_id text not null primary key references product (id),
    capacity integer not null check (capacity >= 0),
    available integer not null check (available >= 0),
    held integer not null check (held >= 0),
    sold integer not null check (sold >= 0),
    check (available + held + sold = capacity)
) strict;

-- One row for each thing that ever happened to a line's stock: nothing is taken, sold or given back twice.
create table stock_movement (
    reservation_id blob not null,
    line_no integer not null,
    kind text not null check (kind in ('hold', 'sell', 'release', 'retake')),
    product_id text not null references product (id),
    quantity integer not null check (quantity > 0),
    at_ms integer not null,
    primary key (reservation_id, line_no, kind)
) strict;

create table customer (
    id blob not null primary key check (length(id) = 16),
    email text not null unique,
    password_hash text not null,
    created_at integer not null
) strict;

-- due_at: the one next deadline, null once nothing is left to wait for.
create table reservation (
    id blob not null primary key check (length(id) = 16),
    sale_id text not null references sale (id),
    screening_id text references screening (id),
    customer_id blob not null references customer (id),
    state text not null
        check (state in ('held', 'checkout', 'paying', 'closing', 'booked', 'released', 'review')),
    due_at integer,
    pay_until integer,
    pay_ms integer not null,
    amount integer not null check (amount >= 0),
    currency text not null,
    reason text,
    ticket_code text unique,
    version integer not null,
    created_at integer not null,
    updated_at integer not null
) strict;
create index reservation_due on reservation (state, due_at);
create index reservation_customer on reservation (customer_id, created_at);

create table reservation_line (
    reservation_id blob not null references reservation (id),
    line_no integer not null,
    seat_no text,
    product_id text references product (id),
    title text not null,
    quantity integer not null check (quantity > 0),
    price integer not null check (price >= 0),
    primary key (reservation_id, line_no),
    unique (reservation_id, seat_no),
    check ((seat_no is null) <> (product_id is null))
) strict;
create index reservation_line_product on reservation_line (product_id);

create table campaign (
    id text not null primary key,
    sale_id text not null references sale (id),
    total integer not null check (total >= 0),
    remaining integer not null check (remaining >= 0 and remaining <= total)
) strict;

create table coupon (
    campaign_id text not null references campaign (id),
    customer_id blob not null references customer (id),
    code text not null unique,
    issued_at integer not null,
    primary key (campaign_id, customer_id)
) strict;

create table idempotency (
    principal blob not null,
    route text not null,
    idem_key text not null,
    fingerprint blob not null,
    state text not null check (state in ('running', 'done')),
    claim blob not null,
    claimed_until integer not null,
    status integer,
    headers text,
    body blob,
    created_at integer not null,
    primary key (principal, route, idem_key)
) strict;
create index idempotency_age on idempotency (created_at);
