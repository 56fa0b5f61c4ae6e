//! `vestibule orders …`: what only a person can decide about an order, straight in the core's database.

use anyhow::{Error, Result, bail};
use gateway_core::{Office, OrderFacts, Wish, WishError};

use crate::cli::{DecisionArgs, OrdersArgs, OrdersCommand};
use crate::config::Config;
use crate::failure::{Down, Misused};
use crate::out::say;

/// Looks or decides, and prints the order as it stands then.
pub(crate) async fn run(arguments: OrdersArgs, config: Config) -> Result<()> {
    let office = super::office(config).await?;
    let (decision, wish) = match arguments.command {
        OrdersCommand::Review => return review(&office).await,
        OrdersCommand::Show { order } => {
            let Some(facts) = office.order(&order).await? else { bail!("there is no order {order}") };
            show(&facts);
            return Ok(());
        }
        OrdersCommand::Settle { decision, paid: true, .. } => (decision, Wish::SettlePaid),
        OrdersCommand::Settle { decision, .. } => (decision, Wish::SettleNotPaid),
        OrdersCommand::Cancel(decision) => (decision, Wish::Cancel),
        OrdersCommand::Reverse(decision) => (decision, Wish::Reverse),
    };
    let DecisionArgs { order, note } = decision;
    match office.decide(&order, wish, &arguments.who, &note).await {
        Ok(facts) => {
            show(&facts);
            Ok(())
        }
        Err(WishError::Invalid(reason)) => Err(Misused(reason).into()),
        Err(WishError::Db(error)) => Err(Down(format!("the database failed: {:#}", Error::new(error))).into()),
        Err(error @ (WishError::NoSuchOrder(_) | WishError::NotPossible { .. })) => Err(error.into()),
    }
}

async fn review(office: &Office) -> Result<()> {
    let waiting = office.in_review().await?;
    if waiting.is_empty() {
        say!("no order waits for a person");
    }
    for facts in waiting {
        let tries = facts.tries.join(", ");
        say!("{}  {}  {}  {}", facts.order, facts.created_at, facts.total, tries);
    }
    Ok(())
}

fn show(facts: &OrderFacts) {
    say!("order      {}", facts.order);
    say!("state      {}", facts.state);
    if let Some(reason) = &facts.reason {
        say!("reason     {reason}");
    }
    say!("customer   {}", facts.customer);
    say!("total      {}", facts.total);
    say!("made       {}", facts.created_at);
    for (name, texts) in [("line", &facts.lines), ("try", &facts.tries), ("decision", &facts.decisions)] {
        for text in texts {
            say!("{name:<10} {text}");
        }
    }
}
