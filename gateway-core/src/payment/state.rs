//! The machines of an attempt and of its transaction, as pure functions. They move on evidence only: no timer fails a
//! payment, and money that was captured is never argued away by a later answer.
//!
//! ```text
//! attempt      Sending ──> Sent ──> RequiresAction        transaction   Pending ──> Processing ──> RequiresAction
//!                 └──> Unknown ──┐                                         └──> Unknown ──┐
//!              any of these ──> Captured | Failed | Cancelled   any of these ──> Completed | Failed | Cancelled
//!              Failed, Cancelled ──> Captured (late money)      Failed, Cancelled ──> Pending (tried again)
//!                                                               Failed, Cancelled ──> Completed (late money)
//!                                                               Completed ──> Refunded
//! ```
//! An attempt's rank never goes down: an earlier answer that arrives late changes nothing.

/// Where one try at a provider is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// Written down; the provider may or may not have heard of it.
    Sending,
    /// The provider has it and has not decided.
    Sent,
    /// The customer has to decide on the provider's page.
    RequiresAction,
    /// The provider was asked and did not answer.
    Unknown,
    /// The money is there.
    Captured,
    /// No money will come: declined, or not what was asked for.
    Failed,
    /// No money will come: withdrawn.
    Cancelled,
}

/// What is known of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// The provider has it.
    Accepted,
    /// The provider waits for the customer.
    ActionNeeded,
    /// The provider did not say.
    NoAnswer,
    /// The money is there, as asked for.
    Captured,
    /// The provider, or its customer, said no.
    Declined,
    /// Withdrawn at the provider.
    Withdrawn,
    /// There is money, and it is not what was asked for.
    Conflict,
}

impl Attempt {
    /// Every state, in the order of the picture.
    pub(crate) const ALL: [Self; 7] =
        [Self::Sending, Self::Sent, Self::RequiresAction, Self::Unknown, Self::Captured, Self::Failed, Self::Cancelled];

    /// The name in the database.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::RequiresAction => "requires_action",
            Self::Unknown => "unknown",
            Self::Captured => "captured",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether this try may still end in money without a surprise.
    pub(crate) const fn is_live(self) -> bool {
        match self {
            Self::Sending | Self::Sent | Self::RequiresAction | Self::Unknown => true,
            Self::Captured | Self::Failed | Self::Cancelled => false,
        }
    }

    /// The next state. What is known better than `evidence` tells stays as it is.
    pub(crate) const fn on(self, evidence: Evidence) -> Self {
        use Attempt as S;
        use Evidence as E;
        match (self, evidence) {
            (S::Captured, _) => S::Captured,
            (S::Failed | S::Cancelled | S::Sending | S::Sent | S::RequiresAction | S::Unknown, E::Captured) => {
                S::Captured
            }
            (S::Sending | S::Sent | S::RequiresAction | S::Unknown, E::Declined | E::Conflict) => S::Failed,
            (S::Sending | S::Sent | S::RequiresAction | S::Unknown, E::Withdrawn) => S::Cancelled,
            (S::Sending | S::Sent | S::RequiresAction | S::Unknown, E::ActionNeeded) => S::RequiresAction,
            (S::Sending | S::Sent | S::Unknown, E::Accepted) => S::Sent,
            (S::Sending | S::Sent | S::Unknown, E::NoAnswer) => S::Unknown,
            (S::RequiresAction, E::Accepted | E::NoAnswer) => S::RequiresAction,
            (
                S::Failed | S::Cancelled,
                E::Accepted | E::ActionNeeded | E::NoAnswer | E::Declined | E::Withdrawn | E::Conflict,
            ) => self,
        }
    }
}

/// Where a transaction is: what the customer sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transaction {
    /// Started; nothing known yet.
    Pending,
    /// The provider has it.
    Processing,
    /// The customer has to decide on the provider's page.
    RequiresAction,
    /// The provider was asked and did not answer.
    Unknown,
    /// Paid.
    Completed,
    /// Not paid: declined.
    Failed,
    /// Not paid: withdrawn.
    Cancelled,
    /// Was paid, and all of it went back.
    Refunded,
}

/// What can happen to a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A new try begins.
    Tried,
    /// Its try came to know something.
    Learned(Evidence),
    /// The money went back.
    Refunded,
}

impl Transaction {
    /// Every state, in the order of the picture.
    pub(crate) const ALL: [Self; 8] = [
        Self::Pending,
        Self::Processing,
        Self::RequiresAction,
        Self::Unknown,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Refunded,
    ];

    /// The name in the database and on the wire.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::RequiresAction => "requires_action",
            Self::Unknown => "unknown",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Refunded => "refunded",
        }
    }

    /// The state with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The next state, or `None` when the event changes nothing that the customer should see.
    pub(crate) const fn on(self, event: Event) -> Option<Self> {
        use Event as V;
        use Evidence as E;
        use Transaction as S;
        match (self, event) {
            (S::Refunded, V::Tried | V::Learned(_) | V::Refunded)
            | (S::Completed, V::Tried | V::Learned(_))
            | (S::Pending | S::Processing | S::RequiresAction | S::Unknown, V::Tried)
            | (S::Pending | S::Processing | S::RequiresAction | S::Unknown | S::Failed | S::Cancelled, V::Refunded)
            | (S::RequiresAction, V::Learned(E::Accepted | E::NoAnswer))
            | (
                S::Failed | S::Cancelled,
                V::Learned(E::Accepted | E::ActionNeeded | E::NoAnswer | E::Declined | E::Withdrawn | E::Conflict),
            ) => None,
            (S::Completed, V::Refunded) => Some(S::Refunded),
            (S::Failed | S::Cancelled, V::Tried) => Some(S::Pending),
            (
                S::Pending | S::Processing | S::RequiresAction | S::Unknown | S::Failed | S::Cancelled,
                V::Learned(E::Captured),
            ) => Some(S::Completed),
            (S::Pending | S::Processing | S::Unknown, V::Learned(E::Accepted)) => Some(S::Processing),
            (S::Pending | S::Processing | S::Unknown, V::Learned(E::NoAnswer)) => Some(S::Unknown),
            (S::Pending | S::Processing | S::RequiresAction | S::Unknown, V::Learned(E::ActionNeeded)) => {
                Some(S::RequiresAction)
            }
            (S::Pending | S::Processing | S::RequiresAction | S::Unknown, V::Learned(E::Declined | E::Conflict)) => {
                Some(S::Failed)
            }
            (S::Pending | S::Processing | S::RequiresAction | S::Unknown, V::Learned(E::Withdrawn)) => {
                Some(S::Cancelled)
            }
        }
    }
}

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;
