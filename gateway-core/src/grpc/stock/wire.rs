//! Orders and their outcomes as messages, and back. What a message says that this version does not know is nothing.

use super::contract::coupon_refused::Why;
use super::contract::reserve_response::Outcome;
use super::contract::{self, Nothing, ReserveRequest, ReserveResponse};
use crate::base::{Currency, CustomerId, Money, ReservationId};
use crate::catalogue::Opening;
use crate::coupon;
use crate::db::DbError;
use crate::group::Unserved;
use crate::grpc::Unreserved;
use crate::reservation::{HoldStock, Line, Lost, Refused, Reservation, State, StockOutcome};

pub(super) fn request(ask: &HoldStock) -> ReserveRequest {
    let lines =
        ask.lines.iter().map(|(product, quantity)| contract::Wish { product: product.clone(), quantity: *quantity });
    ReserveRequest {
        order_id: ask.id.to_bytes(),
        customer_id: ask.customer.to_bytes(),
        lines: lines.collect(),
        coupon: ask.coupon.clone(),
    }
}

/// `None` if it names no order or no customer.
pub(super) fn ask(request: ReserveRequest) -> Option<HoldStock> {
    Some(HoldStock {
        id: ReservationId::from_bytes(&request.order_id)?,
        customer: CustomerId::from_bytes(&request.customer_id)?,
        lines: request.lines.into_iter().map(|line| (line.product, line.quantity)).collect(),
        coupon: request.coupon,
    })
}

pub(super) fn response(outcome: Result<StockOutcome, Unserved>) -> ReserveResponse {
    let outcome = match outcome {
        Ok(outcome) => decided(outcome),
        Err(Unserved::Full { retry_after_ms }) => Some(Outcome::Full(contract::Full { retry_after_ms })),
        Err(Unserved::Failed(error)) => Some(Outcome::Failed(failure(&error).into())),
    };
    ReserveResponse { outcome }
}

fn failure(error: &DbError) -> contract::Failure {
    match error {
        DbError::Busy(_) | DbError::Unreachable(_) | DbError::CommitUnknown(_) | DbError::ReadOnly(_) => {
            contract::Failure::Later
        }
        DbError::Duplicate | DbError::Settings(_) | DbError::Statement(_) | DbError::Shape(_) => {
            contract::Failure::Broken
        }
    }
}

fn decided(outcome: StockOutcome) -> Option<Outcome> {
    Some(match outcome {
        StockOutcome::Ordered(reservation) => Outcome::Ordered(order(reservation)),
        StockOutcome::Repeated(reservation) => Outcome::Repeated(order(reservation)),
        StockOutcome::Refused(refused) => return refusal(refused),
    })
}

fn refusal(refused: Refused) -> Option<Outcome> {
    let nothing = Nothing {};
    Some(match refused {
        Refused::SoldOut { lost } => Outcome::SoldOut(contract::SoldOut { lost: lefts(lost) }),
        Refused::AllHeld { lost, may_return_in_ms } => {
            Outcome::AllHeld(contract::AllHeld { lost: lefts(lost), may_return_in_ms })
        }
        Refused::NoSuchProduct(product) => Outcome::NoSuchProduct(contract::Product { product }),
        Refused::NoLines => Outcome::NoLines(nothing),
        Refused::TooMany { product, per_order_max } => Outcome::TooMany(contract::TooMany { product, per_order_max }),
        Refused::TooManyLines => Outcome::TooManyLines(nothing),
        Refused::MixedSales => Outcome::MixedSales(nothing),
        Refused::Closed(Opening::NotStarted { starts_at }) => {
            Outcome::NotStarted(contract::Instant { at_ms: starts_at })
        }
        Refused::Closed(Opening::Ended { ends_at }) => Outcome::Ended(contract::Instant { at_ms: ends_at }),
        // Nobody is refused because a sale is open.
        Refused::Closed(Opening::Open) => return None,
        Refused::OverLimit { product, had, per_customer_max } => {
            Outcome::OverLimit(contract::OverLimit { product, had, per_customer_max })
        }
        Refused::Coupon(refused) => Outcome::Coupon(contract::CouponRefused { why: Some(why(&refused)) }),
        Refused::KeyReused => Outcome::KeyReused(nothing),
    })
}

fn lefts(lost: Vec<Lost>) -> Vec<contract::Left> {
    lost.into_iter().map(|Lost { product, available }| contract::Left { product, available }).collect()
}

fn of_lefts(lost: Vec<contract::Left>) -> Vec<Lost> {
    lost.into_iter().map(|contract::Left { product, available }| Lost { product, available }).collect()
}

fn why(refused: &coupon::Refused) -> Why {
    match *refused {
        coupon::Refused::Unknown => Why::Unknown(Nothing {}),
        coupon::Refused::Used => Why::Used(Nothing {}),
        coupon::Refused::NotYet { in_ms } => Why::NotYet(contract::NotYet { in_ms }),
        coupon::Refused::Over => Why::Over(Nothing {}),
        coupon::Refused::OtherSale => Why::OtherSale(Nothing {}),
        coupon::Refused::BelowMinimum { minimum_amount } => {
            Why::BelowMinimum(contract::BelowMinimum { minimum_amount })
        }
    }
}

/// What an answer says. One that cannot be read is none: the order is placed, or it is not.
pub(super) fn outcome(response: ReserveResponse) -> Result<StockOutcome, Unreserved> {
    let refused = match response.outcome.ok_or(Unreserved::NoAnswer)? {
        Outcome::Ordered(order) => {
            return reservation(order).map(StockOutcome::Ordered).ok_or(Unreserved::NoAnswer);
        }
        Outcome::Repeated(order) => {
            return reservation(order).map(StockOutcome::Repeated).ok_or(Unreserved::NoAnswer);
        }
        Outcome::Full(contract::Full { retry_after_ms }) => {
            return Err(Unreserved::Unserved(Unserved::Full { retry_after_ms }));
        }
        Outcome::Failed(failure) => return Err(failed(failure)),
        Outcome::SoldOut(contract::SoldOut { lost }) => Refused::SoldOut { lost: of_lefts(lost) },
        Outcome::AllHeld(contract::AllHeld { lost, may_return_in_ms }) => {
            Refused::AllHeld { lost: of_lefts(lost), may_return_in_ms }
        }
        Outcome::NoSuchProduct(contract::Product { product }) => Refused::NoSuchProduct(product),
        Outcome::NoLines(Nothing {}) => Refused::NoLines,
        Outcome::TooMany(contract::TooMany { product, per_order_max }) => Refused::TooMany { product, per_order_max },
        Outcome::TooManyLines(Nothing {}) => Refused::TooManyLines,
        Outcome::MixedSales(Nothing {}) => Refused::MixedSales,
        Outcome::NotStarted(contract::Instant { at_ms }) => Refused::Closed(Opening::NotStarted { starts_at: at_ms }),
        Outcome::Ended(contract::Instant { at_ms }) => Refused::Closed(Opening::Ended { ends_at: at_ms }),
        Outcome::OverLimit(contract::OverLimit { product, had, per_customer_max }) => {
            Refused::OverLimit { product, had, per_customer_max }
        }
        Outcome::Coupon(contract::CouponRefused { why }) => {
            Refused::Coupon(of_coupon(why.ok_or(Unreserved::NoAnswer)?))
        }
        Outcome::KeyReused(Nothing {}) => Refused::KeyReused,
    };
    Ok(StockOutcome::Refused(refused))
}

fn failed(failure: i32) -> Unreserved {
    match contract::Failure::try_from(failure) {
        Ok(contract::Failure::Later) => Unreserved::Later,
        Ok(contract::Failure::Broken) => Unreserved::Broken,
        Ok(contract::Failure::Unspecified) | Err(_) => Unreserved::NoAnswer,
    }
}

fn of_coupon(why: Why) -> coupon::Refused {
    match why {
        Why::Unknown(Nothing {}) => coupon::Refused::Unknown,
        Why::Used(Nothing {}) => coupon::Refused::Used,
        Why::NotYet(contract::NotYet { in_ms }) => coupon::Refused::NotYet { in_ms },
        Why::Over(Nothing {}) => coupon::Refused::Over,
        Why::OtherSale(Nothing {}) => coupon::Refused::OtherSale,
        Why::BelowMinimum(contract::BelowMinimum { minimum_amount }) => {
            coupon::Refused::BelowMinimum { minimum_amount }
        }
    }
}

fn order(reservation: Reservation) -> contract::Order {
    let Money { amount, currency } = reservation.total;
    contract::Order {
        id: reservation.id.to_bytes(),
        sale: reservation.sale_id,
        screening: reservation.screening_id,
        customer_id: reservation.customer_id.to_bytes(),
        state: state(reservation.state).into(),
        due_at_ms: reservation.due_at,
        pay_until_ms: reservation.pay_until,
        pay_ms: reservation.pay_ms,
        amount,
        currency: currency.as_str().to_owned(),
        coupon: reservation.coupon,
        discount: reservation.discount,
        reason: reservation.reason,
        ticket_code: reservation.ticket_code,
        version: reservation.version,
        created_at_ms: reservation.created_at,
        lines: reservation.lines.into_iter().map(line).collect(),
    }
}

fn reservation(order: contract::Order) -> Option<Reservation> {
    let state = order.state();
    Some(Reservation {
        id: ReservationId::from_bytes(&order.id)?,
        sale_id: order.sale,
        screening_id: order.screening,
        customer_id: CustomerId::from_bytes(&order.customer_id)?,
        state: known(state)?,
        due_at: order.due_at_ms,
        pay_until: order.pay_until_ms,
        pay_ms: order.pay_ms,
        total: Money { amount: order.amount, currency: Currency::parse(&order.currency)? },
        coupon: order.coupon,
        discount: order.discount,
        reason: order.reason,
        ticket_code: order.ticket_code,
        version: order.version,
        created_at: order.created_at_ms,
        lines: order.lines.into_iter().map(of_order).collect(),
    })
}

fn line(line: Line) -> contract::Line {
    let Line { seat, product, title, quantity, price } = line;
    contract::Line { seat, product, title, quantity, price }
}

fn of_order(line: contract::Line) -> Line {
    let contract::Line { seat, product, title, quantity, price } = line;
    Line { seat, product, title, quantity, price }
}

const fn state(state: State) -> contract::State {
    match state {
        State::Held => contract::State::Held,
        State::Checkout => contract::State::Checkout,
        State::Paying => contract::State::Paying,
        State::Closing => contract::State::Closing,
        State::Booked => contract::State::Booked,
        State::Released => contract::State::Released,
        State::Review => contract::State::Review,
        State::Cancelled => contract::State::Cancelled,
        State::Reversed => contract::State::Reversed,
    }
}

const fn known(state: contract::State) -> Option<State> {
    Some(match state {
        contract::State::Unspecified => return None,
        contract::State::Held => State::Held,
        contract::State::Checkout => State::Checkout,
        contract::State::Paying => State::Paying,
        contract::State::Closing => State::Closing,
        contract::State::Booked => State::Booked,
        contract::State::Released => State::Released,
        contract::State::Review => State::Review,
        contract::State::Cancelled => State::Cancelled,
        contract::State::Reversed => State::Reversed,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    /// There and back, as bytes.
    fn there_and_back(outcome: Result<StockOutcome, Unserved>) -> Result<StockOutcome, Unreserved> {
        let bytes = response(outcome).encode_to_vec();
        super::outcome(ReserveResponse::decode(&bytes[..]).expect("a message"))
    }

    fn refusals() -> Vec<Refused> {
        let product = || String::from("p");
        let lost = |available| Lost { product: product(), available };
        let coupons = [
            coupon::Refused::Unknown,
            coupon::Refused::Used,
            coupon::Refused::NotYet { in_ms: 5 },
            coupon::Refused::Over,
            coupon::Refused::OtherSale,
            coupon::Refused::BelowMinimum { minimum_amount: 2_000 },
        ];
        let mut all = vec![
            Refused::SoldOut { lost: vec![lost(0)] },
            Refused::SoldOut { lost: vec![lost(3), lost(0)] },
            Refused::AllHeld { lost: vec![lost(2)], may_return_in_ms: None },
            Refused::AllHeld { lost: vec![lost(2), lost(1)], may_return_in_ms: Some(1_500) },
            Refused::NoSuchProduct(product()),
            Refused::NoSuchProduct(String::new()),
            Refused::NoLines,
            Refused::TooMany { product: product(), per_order_max: 4 },
            Refused::TooManyLines,
            Refused::MixedSales,
            Refused::Closed(Opening::NotStarted { starts_at: i64::MAX }),
            Refused::Closed(Opening::Ended { ends_at: -1 }),
            Refused::OverLimit { product: product(), had: 1, per_customer_max: 2 },
            Refused::KeyReused,
        ];
        all.extend(coupons.map(Refused::Coupon));
        all
    }

    #[test]
    fn every_refusal_arrives_as_it_was_meant() {
        let mut kinds = std::collections::BTreeSet::new();
        for refused in refusals() {
            let meant = format!("{refused:?}");
            kinds.insert(meant.split([' ', '(']).next().unwrap_or_default().to_owned());
            match there_and_back(Ok(StockOutcome::Refused(refused))) {
                Ok(StockOutcome::Refused(arrived)) => assert_eq!(format!("{arrived:?}"), meant),
                other => panic!("{meant} became {other:?}"),
            }
        }
        // All but the two that are orders: `decided` has an arm for each, or does not compile.
        assert_eq!(kinds.len(), 11, "{kinds:?}");
    }

    #[test]
    fn what_was_not_served_says_what_to_do_about_it() {
        let full = there_and_back(Err(Unserved::Full { retry_after_ms: 6_100 }));
        assert!(matches!(full, Err(Unreserved::Unserved(Unserved::Full { retry_after_ms: 6_100 }))), "{full:?}");
        let sql = || Arc::new(sqlx::Error::PoolClosed);
        let later = [
            DbError::Busy(sql()),
            DbError::Unreachable(sql()),
            DbError::CommitUnknown(sql()),
            DbError::ReadOnly(String::new()),
        ];
        for error in later {
            let heard = there_and_back(Err(Unserved::Failed(error.clone())));
            assert!(matches!(heard, Err(Unreserved::Later)), "{error:?} {heard:?}");
        }
        let broken =
            [DbError::Duplicate, DbError::Settings(String::new()), DbError::Statement(sql()), DbError::Shape("x")];
        for error in broken {
            let heard = there_and_back(Err(Unserved::Failed(error.clone())));
            assert!(matches!(heard, Err(Unreserved::Broken)), "{error:?} {heard:?}");
        }
    }

    #[test]
    fn what_this_version_does_not_know_is_no_answer() {
        let order = contract::Order { id: vec![1; 16], customer_id: vec![2; 16], ..contract::Order::default() };
        let known =
            contract::Order { state: contract::State::Checkout.into(), currency: "EUR".into(), ..order.clone() };
        let strange = [
            None,
            Some(Outcome::Failed(0)),
            Some(Outcome::Failed(99)),
            Some(Outcome::Coupon(contract::CouponRefused { why: None })),
            Some(Outcome::Ordered(order.clone())),
            Some(Outcome::Ordered(contract::Order { state: 99, ..known.clone() })),
            Some(Outcome::Ordered(contract::Order { currency: "euro".into(), ..known.clone() })),
            Some(Outcome::Repeated(contract::Order { id: vec![1; 15], ..known.clone() })),
            Some(Outcome::Repeated(contract::Order { customer_id: Vec::new(), ..known.clone() })),
        ];
        for outcome in strange {
            let heard = super::outcome(ReserveResponse { outcome: outcome.clone() });
            assert!(matches!(heard, Err(Unreserved::NoAnswer)), "{outcome:?} {heard:?}");
        }
        assert!(super::outcome(ReserveResponse { outcome: Some(Outcome::Ordered(known)) }).is_ok());
        assert!(response(Ok(StockOutcome::Refused(Refused::Closed(Opening::Open)))).outcome.is_none());
        assert!(ask(ReserveRequest { order_id: vec![1; 16], ..ReserveRequest::default() }).is_none());
    }

    fn lines() -> impl Strategy<Value = Vec<Line>> {
        let one = (any::<Option<String>>(), any::<Option<String>>(), any::<String>(), any::<i64>(), any::<i64>());
        let one =
            one.prop_map(|(seat, product, title, quantity, price)| Line { seat, product, title, quantity, price });
        proptest::collection::vec(one, 0..5)
    }

    fn reservations() -> impl Strategy<Value = Reservation> {
        let ids = (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<String>(), any::<Option<String>>());
        let times = (any::<Option<i64>>(), any::<Option<i64>>(), any::<i64>(), any::<i64>());
        let words = (any::<Option<String>>(), any::<Option<String>>(), any::<Option<String>>());
        let rest = (proptest::sample::select(&State::ALL[..]), any::<i64>(), "[A-Z]{3}", any::<i64>(), any::<i64>());
        (ids, times, words, rest, lines()).prop_map(|(ids, times, words, rest, lines)| Reservation {
            id: ReservationId::derived(ids.0),
            customer_id: CustomerId::derived(ids.1),
            sale_id: ids.2,
            screening_id: ids.3,
            due_at: times.0,
            pay_until: times.1,
            pay_ms: times.2,
            created_at: times.3,
            coupon: words.0,
            reason: words.1,
            ticket_code: words.2,
            state: rest.0,
            total: Money { amount: rest.1, currency: Currency::parse(&rest.2).expect("three letters") },
            discount: rest.3,
            version: rest.4,
            lines,
        })
    }

    proptest! {
        #[test]
        fn an_order_arrives_whole(meant in reservations()) {
            let new = there_and_back(Ok(StockOutcome::Ordered(meant.clone())));
            prop_assert!(matches!(&new, Ok(StockOutcome::Ordered(arrived)) if *arrived == meant), "{:?}", new);
            let again = there_and_back(Ok(StockOutcome::Repeated(meant.clone())));
            prop_assert!(matches!(&again, Ok(StockOutcome::Repeated(arrived)) if *arrived == meant), "{:?}", again);
        }

        #[test]
        fn a_wish_arrives_whole(
            ids in any::<[[u8; 16]; 2]>(),
            lines in proptest::collection::vec((any::<String>(), any::<i64>()), 0..20),
            coupon in any::<Option<String>>(),
        ) {
            let id = ReservationId::derived(ids[0]);
            let meant = HoldStock { id, customer: CustomerId::derived(ids[1]), lines, coupon };
            let bytes = request(&meant).encode_to_vec();
            let arrived = ask(ReserveRequest::decode(&bytes[..]).expect("a message")).expect("a wish");
            prop_assert_eq!((arrived.id, arrived.customer), (meant.id, meant.customer));
            prop_assert_eq!((arrived.lines, arrived.coupon), (meant.lines, meant.coupon));
        }
    }
}
