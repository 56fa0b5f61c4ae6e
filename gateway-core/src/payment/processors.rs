//! What a payment provider can be asked, and how its answers are told apart: definite, or not known. Knows no table.

pub(super) mod sandbox;

use super::state::Evidence;
use crate::base::Money;

/// One try, as the provider gets it. The reference is ours and was stored before.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) reference: String,
    pub(crate) money: Money,
    pub(crate) method: String,
    pub(crate) token: Option<String>,
    pub(crate) return_url: Option<String>,
}

/// What the provider said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It took this much.
    Captured(Money),
    /// It has it, and has not decided.
    Accepted,
    /// The customer has to go there.
    ActionNeeded(String),
    /// It, or the customer, said no.
    Declined,
    /// It is withdrawn there, for good.
    Cancelled,
    /// It will never do this: the order itself is at fault.
    Refused,
    /// It has never heard of the reference.
    Absent,
    /// Nobody knows. The class says why, for the row and the log.
    NoAnswer(&'static str),
}

impl Heard {
    /// What this says about a try for `asked`.
    pub(crate) fn evidence(&self, asked: Money) -> Evidence {
        match self {
            Self::Captured(money) if *money == asked => Evidence::Captured,
            Self::Captured(_) => Evidence::Conflict,
            Self::Accepted => Evidence::Accepted,
            Self::ActionNeeded(_) => Evidence::ActionNeeded,
            Self::Declined | Self::Refused => Evidence::Declined,
            Self::Cancelled => Evidence::Withdrawn,
            Self::Absent | Self::NoAnswer(_) => Evidence::NoAnswer,
        }
    }

    /// A word for the attempt's row when it is not simply paid.
    pub(crate) fn error_class(&self, asked: Money) -> Option<&'static str> {
        match self {
            Self::Captured(money) => (*money != asked).then_some("amount_mismatch"),
            Self::Accepted | Self::ActionNeeded(_) => None,
            Self::Declined => Some("declined"),
            Self::Cancelled => Some("cancelled"),
            Self::Refused => Some("refused"),
            Self::Absent => Some("absent"),
            Self::NoAnswer(class) => Some(class),
        }
    }
}

/// How a request to give money back ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GivenBack {
    /// It is on its way, now or since an earlier call with the same id.
    Done,
    /// The provider will never do it.
    Refused,
    /// Nobody knows; the same id may be sent again.
    NoAnswer,
}

/// The provider in use.
#[derive(Clone)]
pub(crate) enum Processor {
    /// Ours, for trying things out.
    Sandbox(sandbox::Client),
}

impl Processor {
    /// The name in rows and addresses.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Sandbox(_) => "sandbox",
        }
    }

    /// Places the charge; the same reference again is the same charge.
    pub(crate) async fn charge(&self, order: &Order) -> Heard {
        match self {
            Self::Sandbox(client) => client.charge(order).await,
        }
    }

    /// Asks how a charge stands.
    pub(crate) async fn find(&self, reference: &str) -> Heard {
        match self {
            Self::Sandbox(client) => client.find(reference).await,
        }
    }

    /// Withdraws a charge, also one that has not arrived yet. If it is paid already, that is the answer.
    pub(crate) async fn cancel(&self, reference: &str) -> Heard {
        match self {
            Self::Sandbox(client) => client.cancel(reference).await,
        }
    }

    /// Gives money back, once for each id.
    pub(crate) async fn refund(&self, reference: &str, refund_id: &str, amount: i64) -> GivenBack {
        match self {
            Self::Sandbox(client) => client.refund(reference, refund_id, amount).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Evidence, Heard};
    use crate::base::{Currency, Money};

    #[test]
    fn money_must_be_what_was_asked_for() {
        let money = |amount, currency| Money { amount, currency: Currency::parse(currency).expect("a currency") };
        let asked = money(1200, "EUR");
        assert_eq!(Heard::Captured(asked).evidence(asked), Evidence::Captured);
        for wrong in [money(1199, "EUR"), money(1201, "EUR"), money(1200, "USD")] {
            assert_eq!(Heard::Captured(wrong).evidence(asked), Evidence::Conflict, "{wrong}");
        }
    }

    #[test]
    fn silence_is_never_a_verdict() {
        let asked = Money { amount: 1, currency: Currency::parse("EUR").expect("a currency") };
        for heard in [Heard::Absent, Heard::NoAnswer("timeout")] {
            assert_eq!(heard.evidence(asked), Evidence::NoAnswer);
        }
    }
}
