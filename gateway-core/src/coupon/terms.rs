//! What a coupon is worth, when it can be had and used, and for whom. Pure.

use crate::base::{CustomerId, ReservationId};

/// All of it, in basis points.
const WHOLE_BP: i64 = 10_000;

/// What a campaign says of its coupons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// They are for orders of this sale, and its currency is theirs.
    pub(crate) sale_id: String,
    /// Epoch milliseconds; without it, from the beginning.
    pub(crate) starts_at: Option<i64>,
    /// Epoch milliseconds, the first at which it is over; without it, for ever.
    pub(crate) ends_at: Option<i64>,
    /// Minor units that it takes off.
    pub(crate) amount_off: i64,
    /// Or the part that it takes off.
    pub(crate) percent_off_bp: i64,
    /// Minor units that an order must come to without it.
    pub(crate) minimum_amount: i64,
}

/// How a campaign stands to the database's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    NotYet { in_ms: i64 },
    Open,
    Over,
}

/// A coupon, locked.
#[derive(Clone, Debug)]
pub(crate) struct Coupon {
    pub(crate) customer: CustomerId,
    pub(crate) terms: Terms,
    /// The live order that has it.
    pub(crate) used_by: Option<ReservationId>,
}

/// Why a coupon cannot be used for an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is none, or it is somebody else's: who guesses is not told which.
    Unknown,
    /// Another live order has it.
    Used,
    NotYet {
        in_ms: i64,
    },
    Over,
    OtherSale,
    BelowMinimum {
        minimum_amount: i64,
    },
}

impl Terms {
    pub(crate) fn window(&self, now_ms: i64) -> Window {
        match (self.starts_at, self.ends_at) {
            (Some(start), _) if now_ms < start => Window::NotYet { in_ms: start.saturating_sub(now_ms) },
            (_, Some(end)) if now_ms >= end => Window::Over,
            _ => Window::Open,
        }
    }

    /// Whether a coupon is worth having.
    pub(super) fn takes_something_off(&self) -> bool {
        self.amount_off > 0 || self.percent_off_bp > 0
    }

    /// What it takes off `subtotal`, in whole minor units: a part is rounded down, and never is it more than there is
    /// to pay.
    pub(crate) fn discount(&self, subtotal: i64) -> i64 {
        let part = i128::from(subtotal) * i128::from(self.percent_off_bp) / i128::from(WHOLE_BP);
        let part = i64::try_from(part).unwrap_or(subtotal);
        self.amount_off.max(part).min(subtotal).max(0)
    }
}

impl Coupon {
    /// What it takes off an order, whoever may be using it. An order keeps the price that it began with, so nobody asks
    /// again later.
    pub(crate) fn discount(
        &self,
        customer: CustomerId,
        sale: &str,
        subtotal: i64,
        now_ms: i64,
    ) -> Result<i64, Refused> {
        if self.customer != customer {
            return Err(Refused::Unknown);
        }
        match self.terms.window(now_ms) {
            Window::NotYet { in_ms } => return Err(Refused::NotYet { in_ms }),
            Window::Over => return Err(Refused::Over),
            Window::Open => {}
        }
        if self.terms.sale_id != sale {
            return Err(Refused::OtherSale);
        }
        if subtotal < self.terms.minimum_amount {
            return Err(Refused::BelowMinimum { minimum_amount: self.terms.minimum_amount });
        }
        Ok(self.terms.discount(subtotal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn off(amount_off: i64, percent_off_bp: i64) -> Terms {
        Terms { sale_id: String::from("sale"), amount_off, percent_off_bp, ..Terms::default() }
    }

    #[test]
    fn a_part_is_rounded_down_and_nothing_goes_below_zero() {
        assert_eq!(off(0, 1_250).discount(999), 124, "124.875");
        assert_eq!(off(0, 1).discount(9_999), 0);
        assert_eq!(off(0, 10_000).discount(999), 999);
        assert_eq!(off(500, 0).discount(999), 500);
        assert_eq!(off(500, 0).discount(499), 499);
        assert_eq!(off(0, 0).discount(499), 0);
        assert_eq!(off(0, 9_999).discount(i64::MAX), 9_222_449_699_651_090_329);
    }

    #[test]
    fn a_window_begins_with_its_first_millisecond_and_ends_before_its_last() {
        let terms = Terms { starts_at: Some(10), ends_at: Some(20), ..Terms::default() };
        let windows = [9, 10, 19, 20].map(|now_ms| terms.window(now_ms));
        assert_eq!(windows, [Window::NotYet { in_ms: 1 }, Window::Open, Window::Open, Window::Over]);
        assert_eq!(Terms::default().window(i64::MIN), Window::Open);
    }

    #[test]
    fn a_coupon_is_for_its_customer_its_sale_and_its_time() {
        let (own, other) = (CustomerId::derived([1; 16]), CustomerId::derived([2; 16]));
        let terms = Terms { starts_at: Some(10), ends_at: Some(20), minimum_amount: 300, ..off(100, 0) };
        let coupon = Coupon { customer: own, terms, used_by: None };
        assert_eq!(coupon.discount(own, "sale", 300, 15), Ok(100));
        assert_eq!(coupon.discount(other, "sale", 300, 25), Err(Refused::Unknown), "a stranger learns nothing");
        assert_eq!(coupon.discount(own, "sale", 300, 4), Err(Refused::NotYet { in_ms: 6 }));
        assert_eq!(coupon.discount(own, "sale", 300, 20), Err(Refused::Over));
        assert_eq!(coupon.discount(own, "else", 300, 15), Err(Refused::OtherSale));
        assert_eq!(coupon.discount(own, "sale", 299, 15), Err(Refused::BelowMinimum { minimum_amount: 300 }));
    }
}
