-- What a coupon is worth and when, and which order uses it. amount_off and minimum_amount are minor units of the sale's
-- currency, percent_off_bp is in basis points; at most one of the two takes something off.
alter table campaign add column starts_at integer;
alter table campaign add column ends_at integer;
alter table campaign add column amount_off integer not null default 0 check (amount_off >= 0);
alter table campaign add column percent_off_bp integer not null default 0 check (percent_off_bp between 0 and 10000);
alter table campaign add column minimum_amount integer not null default 0 check (minimum_amount >= 0);

-- amount is what is to pay: the lines together without the discount.
alter table reservation add column coupon_code text;
alter table reservation add column discount integer not null default 0 check (discount >= 0);

-- A row as long as a live order has the coupon: one order for a coupon, one coupon for an order.
create table coupon_use (
    code text not null primary key references coupon (code),
    reservation_id blob not null unique references reservation (id),
    used_at integer not null
) strict;
