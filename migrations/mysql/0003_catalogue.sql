-- Sales with a beginning and an end, limits for each customer, the rule about single seats, one extension of a hold, and
-- booked orders that are cancelled or reversed. Null where a sale does not ask for it.
alter table sale
    add column starts_at bigint,
    add column ends_at bigint,
    add column seats_per_customer_max bigint check (seats_per_customer_max > 0),
    add column orphans varchar(8) not null default 'off' check (orphans in ('off', 'warn', 'deny')),
    add column extend_ms bigint not null default 0 check (extend_ms >= 0),
    add column cancel_until bigint;
alter table product add column per_customer_max bigint check (per_customer_max > 0);

-- A column's check goes with its column, on MariaDB and on MySQL; what else they can do to it differs.
alter table reservation add column state_before varchar(16);
update reservation set state_before = state;
alter table reservation
    drop index reservation_due,
    drop column state,
    add column state varchar(16) not null default 'held'
        check (state in
            ('held', 'checkout', 'paying', 'closing', 'booked', 'released', 'review', 'cancelled', 'reversed')),
    add column extended bigint not null default 0 check (extended in (0, 1));
update reservation set state = state_before;
alter table reservation alter column state drop default, drop column state_before;
create index reservation_due on reservation (state, due_at);

alter table stock_movement add column kind_before varchar(32);
update stock_movement set kind_before = kind;
alter table stock_movement
    drop primary key,
    drop column kind,
    add column kind varchar(32) not null default 'hold'
        check (kind in ('hold', 'sell', 'release', 'retake', 'return'));
update stock_movement set kind = kind_before;
alter table stock_movement
    alter column kind drop default,
    drop column kind_before,
    add primary key (reservation_id, line_no, kind);

-- What a person decided about an order, once for each kind.
create table decision (
    reservation_id binary(16) not null,
    kind varchar(16) not null check (kind in ('booked', 'released', 'cancelled', 'reversed')),
    who varchar(64) not null,
    note varchar(500) not null,
    at_ms bigint not null,
    primary key (reservation_id, kind),
    foreign key (reservation_id) references reservation (id)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
