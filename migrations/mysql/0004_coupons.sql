-- What a coupon is worth and when, and which order uses it. amount_off and minimum_amount are minor units of the sale's
-- currency, percent_off_bp is in basis points; at most one of the two takes something off.
alter table campaign
    add column starts_at bigint,
    add column ends_at bigint,
    add column amount_off bigint not null default 0 check (amount_off >= 0),
    add column percent_off_bp bigint not null default 0 check (percent_off_bp between 0 and 10000),
    add column minimum_amount bigint not null default 0 check (minimum_amount >= 0);

-- amount is what is to pay: the lines together without the discount.
alter table reservation
    add column coupon_code varchar(64),
    add column discount bigint not null default 0 check (discount >= 0);

-- A row as long as a live order has the coupon: one order for a coupon, one coupon for an order.
create table coupon_use (
    code varchar(64) not null primary key,
    reservation_id binary(16) not null unique,
    used_at bigint not null,
    foreign key (code) references coupon (code),
    foreign key (reservation_id) references reservation (id)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
