//! Everything that is told, and whom it is told to. The words are kept in rows: a name here never changes its meaning.

use serde::{Deserialize, Serialize};

use crate::base::{AttemptId, CustomerId, Money};

/// A part of the core that is told things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Reservations and orders.
    Order,
    /// Transactions, tries, refunds.
    Payment,
}

impl Part {
    /// The name in rows.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Payment => "payment",
        }
    }
}

/// What is told about an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// To the payments: this much is to be paid.
    PaymentRequested(Requested),
    /// To the payments: nobody wants the money any more; say that none will come.
    OrderClosing,
    /// To the payments: it is paid; whatever else is under way is to be withdrawn.
    OrderBooked,
    /// To the payments: the money came when there was nothing left to sell for it.
    RefundRequested { attempt_id: AttemptId, amount: i64 },
    /// To the orders: the money is there.
    PaymentCaptured { attempt_id: AttemptId, amount: i64 },
    /// To the orders: no money will come from this try, or from any.
    PaymentFailed { attempt_id: Option<AttemptId> },
}

/// A try to pay, as the customer wants it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Requested {
    pub(crate) attempt_id: AttemptId,
    pub(crate) customer: CustomerId,
    #[serde(with = "money")]
    pub(crate) money: Money,
    pub(crate) method: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) payment_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) return_url: Option<String>,
}

impl Event {
    /// Who has to hear of it.
    pub(crate) const fn to(&self) -> Part {
        match self {
            Self::PaymentRequested(_) | Self::OrderClosing | Self::OrderBooked | Self::RefundRequested { .. } => {
                Part::Payment
            }
            Self::PaymentCaptured { .. } | Self::PaymentFailed { .. } => Part::Order,
        }
    }

    /// The name in rows.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::PaymentRequested(_) => "payment_requested",
            Self::OrderClosing => "order_closing",
            Self::OrderBooked => "order_booked",
            Self::RefundRequested { .. } => "refund_requested",
            Self::PaymentCaptured { .. } => "payment_captured",
            Self::PaymentFailed { .. } => "payment_failed",
        }
    }
}

/// Money as minor units and a currency's three letters.
mod money {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::base::{Currency, Money};

    #[derive(Serialize, Deserialize)]
    struct Words {
        amount: i64,
        currency: String,
    }

    pub(super) fn serialize<S: Serializer>(money: &Money, to: S) -> Result<S::Ok, S::Error> {
        Words { amount: money.amount, currency: money.currency.to_string() }.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Money, D::Error> {
        let Words { amount, currency } = Words::deserialize(from)?;
        let currency = Currency::parse(&currency).ok_or_else(|| D::Error::custom("no currency"))?;
        Ok(Money { amount, currency })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Currency;

    #[test]
    fn every_event_reads_back_under_its_name() {
        let (attempt_id, customer) = (AttemptId::derived([1; 16]), CustomerId::derived([2; 16]));
        let money = Money { amount: 1_250, currency: Currency::parse("EUR").expect("EUR") };
        let (method, payment_token, return_url) = ("credit_card".to_owned(), Some("tok_1".to_owned()), None);
        let all = [
            Event::PaymentRequested(Requested { attempt_id, customer, money, method, payment_token, return_url }),
            Event::OrderClosing,
            Event::OrderBooked,
            Event::RefundRequested { attempt_id, amount: 1 },
            Event::PaymentCaptured { attempt_id, amount: 1 },
            Event::PaymentFailed { attempt_id: None },
        ];
        for event in all {
            let words = serde_json::to_value(&event).expect("words");
            assert_eq!(words["event"], event.kind());
            assert_eq!(serde_json::from_value::<Event>(words).expect("an event"), event);
        }
        assert!(serde_json::from_str::<Event>(r#"{"event":"order_eaten"}"#).is_err());
    }
}
