-- Catalogue, customers, reservations, coupons, idempotency. Ids are 16 bytes, money is minor units, times are epoch ms.
create table sale (
    id varchar(64) not null primary key,
    title varchar(200) not null,
    currency varchar(3) not null check (char_length(currency) = 3),
    hold_ms bigint not null check (hold_ms > 0),
    pay_ms bigint not null check (pay_ms > 0),
    seats_max bigint not null check (seats_max between 1 and 16)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;

create table film (
    id varchar(64) not null primary key,
    title varchar(200) not null,
    synopsis varchar(2000) not null,
    genre varchar(64) not null,
    minutes bigint not null,
    poster_url varchar(500) not null,
    place bigint not null
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;

create table screening (
    id varchar(64) not null primary key,
    sale_id varchar(64) not null,
    film_id varchar(64) not null,
    hall varchar(64) not null,
    starts_at bigint not null,
    foreign key (sale_id) references sale (id),
    foreign key (film_id) references film (id)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
create index screening_film on screening (film_id, starts_at);
create index screening_sale on screening (sale_id);

-- free_after: from then on the seat is free again by itself, whoever holds it; null while money may be on its way.
create table seat (
    screening_id varchar(64) not null,
    seat_no varchar(64) not null,
    row_name varchar(8) not null,
    seat_number bigint not null,
    section varchar(64) not null,
    kind varchar(32) not null check (kind in ('standard', 'wheelchair')),
    price bigint not null check (price >= 0),
    place bigint not null,
    state varchar(16) not null check (state in ('free', 'held', 'pending', 'sold', 'blocked')),
    reservation_id binary(16),
    free_after bigint,
    primary key (screening_id, seat_no),
    check ((state in ('free', 'blocked')) = (reservation_id is null)),
    foreign key (screening_id) references screening (id)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
create index seat_reservation on seat (reservation_id);

create table product (
    id varchar(64) not null primary key,
    sale_id varchar(64) not null,
    title varchar(200) not null,
    price bigint not null check (price >= 0),
    per_order_max bigint not null check (per_order_max > 0),
    place bigint not null,
    foreign key (sale_id) references sale (id)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
create index product_sale on product (sale_id);

create table stock (
    product_id varchar(64) not null primary key,
    capacity bigint not null check (capacity >= 0),
    available bigint not null check (available >= 0),
    held bigint not null check (held >= 0),
    sold bigint not null check (sold >= 0),
    check (available + held + sold = capacity),
    foreign key (product_id) references product (id)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;

-- One row for each thing that ever happened to a line's stock: nothing is taken, sold or given back twice.
create table stock_movement (
    reservation_id binary(16) not null,
    line_no bigint not null,
    kind varchar(32) not null check (kind in ('hold', 'sell', 'release', 'retake')),
    product_id varchar(64) not null,
    quantity bigint not null check (quantity > 0),
    at_ms bigint not null,
    primary key (reservation_id, line_no, kind),
    foreign key (product_id) references product (id)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;

create table customer (
    id binary(16) not null primary key,
    email varchar(254) not null unique,
    password_hash varchar(255) not null,
    created_at bigint not null
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;

-- due_at: the one next deadline, null once nothing is left to wait for.
create table reservation (
    id binary(16) not null primary key,
    sale_id varchar(64) not null,
    screening_id varchar(64),
    customer_id binary(16) not null,
    state varchar(16) not null
        check (state in ('held', 'checkout', 'paying', 'closing', 'booked', 'released', 'review')),
    due_at bigint,
    pay_until bigint,
    pay_ms bigint not null,
    amount bigint not null check (amount >= 0),
    currency varchar(3) not null,
    reason varchar(64),
    ticket_code varchar(32) unique,
    version bigint not null,
    created_at bigint not null,
    updated_at bigint not null,
    foreign key (sale_id) references sale (id),
    foreign key (screening_id) references screening (id),
    foreign key (customer_id) references customer (id)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
create index reservation_due on reservation (state, due_at);
create index reservation_customer on reservation (customer_id, created_at);

create table reservation_line (
    reservation_id binary(16) not null,
    line_no bigint not null,
    seat_no varchar(64),
    product_id varchar(64),
    title varchar(200) not null,
    quantity bigint not null check (quantity > 0),
    price bigint not null check (price >= 0),
    primary key (reservation_id, line_no),
    unique (reservation_id, seat_no),
    check ((seat_no is null) <> (product_id is null)),
    foreign key (reservation_id) references reservation (id),
    foreign key (product_id) references product (id)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
create index reservation_line_product on reservation_line (product_id);

create table campaign (
    id varchar(64) not null primary key,
    sale_id varchar(64) not null,
    total bigint not null check (total >= 0),
    remaining bigint not null check (remaining >= 0 and remaining <= total),
    foreign key (sale_id) references sale (id)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;

create table coupon (
    campaign_id varchar(64) not null,
    customer_id binary(16) not null,
    code varchar(64) not null unique,
    issued_at bigint not null,
    primary key (campaign_id, customer_id),
    foreign key (campaign_id) references campaign (id),
    foreign key (customer_id) references customer (id)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;

create table idempotency (
    principal binary(16) not null,
    route varchar(128) not null,
    idem_key varchar(255) not null,
    fingerprint binary(32) not null,
    state varchar(16) not null check (state in ('running', 'done')),
    claim binary(16) not null,
    claimed_until bigint not null,
    status bigint,
    headers text,
    body mediumblob,
    created_at bigint not null,
    primary key (principal, route, idem_key)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
create index idempotency_age on idempotency (created_at);
