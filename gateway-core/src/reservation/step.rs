//! Moves a reservation from state to state inside the caller's transaction: state, seats, stock and movements together.
//!
//! Payments are told, and tell, through the outbox: what they have to know is written in the same transaction.

use std::collections::HashMap;

use super::state::{Event, Movement, Refused};
use super::store::{self, StockMove};
use super::{Reservation, State};
use crate::base::{CustomerId, ReservationId};
use crate::coupon;
use crate::db::{Db, DbError, Tx, in_tx};
use crate::metrics::{self, Goods, Hold, Order};
use crate::outbox::{self, Event as Told};

/// How long a provider may stay silent about a payment that is being closed before a person has to look.
const CLOSING_MAX_MS: i64 = 15 * 60_000;

/// Characters of a ticket code, from an alphabet without look-alikes: 60 bits.
const TICKET_CODE_CHARS: usize = 12;
const TICKET_ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What became of a step.
#[derive(Debug)]
pub(crate) enum Stepped {
    /// It stands there now; a repeated event counts.
    Done(Reservation),
    /// No such reservation, or somebody else's.
    NotFound,
    /// Not possible in the state that it is in. The state is the one after a deadline has been judged.
    Refused(Reservation),
}

/// What became of the wish to pay.
#[derive(Debug)]
pub(crate) enum Began {
    /// It is PAYING from now on.
    Now(Reservation),
    /// It was PAYING before: an earlier wish is under way.
    Before,
    /// No such reservation, or somebody else's.
    NotFound,
    /// It cannot be paid in the state that it is in.
    Refused(Reservation),
}

/// What became of money that arrived.
#[derive(Debug)]
pub(crate) enum Paid {
    /// Booked, now or before.
    Booked(Reservation),
    /// It had been released and what it held is gone: the money has to go back.
    TooLate(Reservation),
    /// No such reservation.
    NotFound,
}

/// Reservations that are locked, as they stood then. Each is taken once: whoever comes again finds it as it stands by now. Where
/// one moves another, the version tells.
#[derive(Default)]
pub(crate) struct Locked(HashMap<ReservationId, Reservation>);

impl Locked {
    async fn take(&mut self, tx: &mut Tx, id: ReservationId) -> Result<Option<Reservation>, DbError> {
        match self.0.remove(&id) {
            None => store::lock(tx, id).await,
            locked => Ok(locked),
        }
    }
}

/// Turns a hold into an order. Repeated, it answers with the same order.
pub(crate) async fn checkout(db: &Db, id: ReservationId, owner: CustomerId) -> Result<Stepped, DbError> {
    in_tx!(db, tx, { customer_step(tx, id, owner, Event::Checkout).await })
}

/// Gives a hold or an order up. While a payment is under way it only begins to close.
pub(crate) async fn cancel(db: &Db, id: ReservationId, owner: CustomerId) -> Result<Stepped, DbError> {
    in_tx!(db, tx, { customer_step(tx, id, owner, Event::Cancel).await })
}

/// Somebody wants to pay: CHECKOUT becomes PAYING. Have the payments told in the same transaction.
pub(crate) async fn begin_paying(
    tx: &mut Tx,
    locked: &mut Locked,
    id: ReservationId,
    owner: CustomerId,
) -> Result<Began, DbError> {
    let Some(reservation) = of_customer(tx, locked, id, owner).await? else { return Ok(Began::NotFound) };
    let was_paying = reservation.state == State::Paying;
    Ok(match finish(tx, reservation, Event::StartPaying, None).await? {
        Stepped::Done(_) if was_paying => Began::Before,
        Stepped::Done(reservation) => Began::Now(reservation),
        Stepped::Refused(reservation) => Began::Refused(reservation),
        Stepped::NotFound => Began::NotFound,
    })
}

/// The provider has the money. Books whatever the clock says, unless the seats are gone; repeats change nothing.
pub(crate) async fn paid(tx: &mut Tx, locked: &mut Locked, id: ReservationId) -> Result<Paid, DbError> {
    let Some(mut reservation) = locked.take(tx, id).await? else { return Ok(Paid::NotFound) };
    if reservation.state == State::Released && !can_be_retaken(tx, &reservation).await? {
        return Ok(Paid::TooLate(reservation));
    }
    Ok(match apply(tx, &mut reservation, Event::Paid, None).await? {
        Ok(()) => Paid::Booked(reservation),
        Err(_) => Paid::TooLate(reservation),
    })
}

/// The provider confirms that no money comes from the attempt: PAYING goes back to CHECKOUT, CLOSING is released.
pub(crate) async fn not_paid(tx: &mut Tx, locked: &mut Locked, id: ReservationId) -> Result<Stepped, DbError> {
    match locked.take(tx, id).await? {
        Some(reservation) => finish(tx, reservation, Event::NotPaid, Some("not_paid")).await,
        None => Ok(Stepped::NotFound),
    }
}

/// Judges a passed deadline. Does nothing when there is none.
pub(super) async fn lapse(tx: &mut Tx, locked: &mut Locked, id: ReservationId) -> Result<Option<State>, DbError> {
    let Some(mut reservation) = locked.take(tx, id).await? else { return Ok(None) };
    if reservation.due_at.is_none_or(|due| due > tx.now_ms()) {
        return Ok(None);
    }
    let (event, reason) = match reservation.state {
        State::Held => (Event::Lapse, "hold_lapsed"),
        State::Checkout | State::Paying => (Event::Lapse, "not_paid_in_time"),
        State::Closing => (Event::NoAnswer, "provider_silent"),
        State::Booked | State::Released | State::Review | State::Cancelled | State::Reversed => return Ok(None),
    };
    Ok(apply(tx, &mut reservation, event, Some(reason)).await?.is_ok().then_some(reservation.state))
}

/// Locks a group before anything of it moves: who ends an order locks it first and its stock afterwards, and a group that
/// held stock while it went for the next order would wait in a circle. `ids` is sorted.
pub(crate) async fn lock_all(tx: &mut Tx, ids: &[ReservationId]) -> Result<Locked, DbError> {
    store::lock_all(tx, ids).await.map(Locked)
}

/// Judges the deadlines of a group.
pub(super) async fn lapse_all(tx: &mut Tx, ids: &[ReservationId]) -> Result<Vec<Option<State>>, DbError> {
    let mut locked = lock_all(tx, ids).await?;
    let mut states = Vec::with_capacity(ids.len());
    for id in ids {
        states.push(lapse(tx, &mut locked, *id).await?);
    }
    Ok(states)
}

async fn customer_step(tx: &mut Tx, id: ReservationId, owner: CustomerId, event: Event) -> Result<Stepped, DbError> {
    let Some(reservation) = of_customer(tx, &mut Locked::default(), id, owner).await? else {
        return Ok(Stepped::NotFound);
    };
    let reason = (event == Event::Cancel).then_some("cancelled");
    finish(tx, reservation, event, reason).await
}

/// The customer's own, locked, and its deadline judged.
async fn of_customer(
    tx: &mut Tx,
    locked: &mut Locked,
    id: ReservationId,
    owner: CustomerId,
) -> Result<Option<Reservation>, DbError> {
    let Some(mut reservation) = locked.take(tx, id).await?.filter(|found| found.customer_id == owner) else {
        return Ok(None);
    };
    if reservation.has_lapsed(tx.now_ms()) {
        let reason = if reservation.state == State::Held { "hold_lapsed" } else { "not_paid_in_time" };
        // A lapsed hold can always be released; the row is locked, so nobody was faster.
        let _released = apply(tx, &mut reservation, Event::Lapse, Some(reason)).await?;
    }
    Ok(Some(reservation))
}

pub(super) async fn finish(
    tx: &mut Tx,
    mut reservation: Reservation,
    event: Event,
    reason: Option<&'static str>,
) -> Result<Stepped, DbError> {
    Ok(match apply(tx, &mut reservation, event, reason).await? {
        Ok(()) => Stepped::Done(reservation),
        Err(_) => Stepped::Refused(reservation),
    })
}

/// The one place that changes the state of a reservation. `reservation` is locked, and is the new one afterwards.
pub(super) async fn apply(
    tx: &mut Tx,
    reservation: &mut Reservation,
    event: Event,
    reason: Option<&'static str>,
) -> Result<Result<(), Refused>, DbError> {
    let from = reservation.state;
    let (to, movement) = match from.on(event) {
        Ok(next) => next,
        Err(refused) => return Ok(Err(refused)),
    };
    if to == from {
        return Ok(Ok(()));
    }
    set_deadlines(reservation, to, tx.now_ms());
    // Why it was closed is kept when the provider's word then releases it.
    let known = reservation.reason.take().filter(|_| matches!(from, State::Closing | State::Review));
    reservation.reason = match to {
        State::Released | State::Closing | State::Review | State::Cancelled | State::Reversed => {
            known.or(reason.map(str::to_owned))
        }
        State::Held | State::Checkout | State::Paying | State::Booked => None,
    };
    if to == State::Booked {
        reservation.ticket_code = Some(new_ticket_code());
    }
    reservation.state = to;
    if !store::save(tx, from, reservation).await? {
        return Err(DbError::Shape("a reservation that stays as it was while it is locked"));
    }
    reservation.version += 1;
    move_goods(tx, reservation, movement).await?;
    tell(tx, reservation).await?;
    count(tx, reservation);
    Ok(Ok(()))
}

/// Has the payments told what they have to know.
async fn tell(tx: &mut Tx, reservation: &Reservation) -> Result<(), DbError> {
    match reservation.state {
        State::Closing => outbox::publish(tx, reservation.id, &Told::OrderClosing).await,
        State::Booked => outbox::publish(tx, reservation.id, &Told::OrderBooked).await,
        State::Held
        | State::Checkout
        | State::Paying
        | State::Released
        | State::Review
        | State::Cancelled
        | State::Reversed => Ok(()),
    }
}

/// Counts an end, once it is kept. What was never checked out is a hold that came back, and no order.
fn count(tx: &mut Tx, reservation: &Reservation) {
    let order = match reservation.state {
        State::Booked => Order::Booked,
        State::Review => Order::Review,
        State::Released if reservation.pay_until.is_none() => {
            return tx.when_kept(|| metrics::hold(Goods::Seats, Hold::Released));
        }
        State::Released => Order::Released,
        State::Cancelled => Order::Cancelled,
        State::Reversed => Order::Reversed,
        State::Held | State::Checkout | State::Paying | State::Closing => return,
    };
    tx.when_kept(move || metrics::order(order));
}

fn set_deadlines(reservation: &mut Reservation, to: State, now_ms: i64) {
    match to {
        State::Checkout => {
            let until = reservation.pay_until.unwrap_or(now_ms.saturating_add(reservation.pay_ms));
            (reservation.pay_until, reservation.due_at) = (Some(until), Some(until));
        }
        State::Paying => reservation.due_at = reservation.pay_until,
        State::Closing => reservation.due_at = Some(now_ms.saturating_add(CLOSING_MAX_MS)),
        State::Held => {}
        State::Booked | State::Released | State::Review | State::Cancelled | State::Reversed => {
            reservation.due_at = None;
        }
    }
}

async fn move_goods(tx: &mut Tx, reservation: &Reservation, movement: Movement) -> Result<(), DbError> {
    match movement {
        Movement::Keep => mark_seats(tx, reservation, "pending", free_after(reservation)).await,
        Movement::Release => {
            free_seats(tx, reservation).await?;
            move_stock(tx, reservation, StockMove::Release).await?;
            give_coupon_back(tx, reservation).await
        }
        Movement::Sell => {
            mark_seats(tx, reservation, "sold", None).await?;
            move_stock(tx, reservation, StockMove::Sell).await
        }
        Movement::Return => {
            free_seats(tx, reservation).await?;
            move_stock(tx, reservation, StockMove::Return).await?;
            give_coupon_back(tx, reservation).await
        }
        Movement::Retake => {
            claim_all(tx, reservation, "sold").await?;
            move_stock(tx, reservation, StockMove::Retake).await?;
            take_coupon_again(tx, reservation).await
        }
    }
}

/// An order of stock has no seats: nothing is asked for it.
async fn mark_seats(tx: &mut Tx, of: &Reservation, state: &str, free: Option<i64>) -> Result<(), DbError> {
    if of.screening_id.is_some() { store::mark_seats(tx, of.id, state, free).await } else { Ok(()) }
}

async fn free_seats(tx: &mut Tx, of: &Reservation) -> Result<(), DbError> {
    if of.screening_id.is_some() { store::free_seats(tx, of.id).await } else { Ok(()) }
}

async fn give_coupon_back(tx: &mut Tx, reservation: &Reservation) -> Result<(), DbError> {
    if reservation.coupon.is_some() { coupon::give_back(tx, reservation.id).await } else { Ok(()) }
}

async fn take_coupon_again(tx: &mut Tx, reservation: &Reservation) -> Result<(), DbError> {
    let uses: Vec<_> = reservation.coupon.iter().map(|code| (code.as_str(), reservation.id)).collect();
    coupon::use_all(tx, &uses).await
}

/// When the seats become free by themselves: only while nothing but time keeps them.
fn free_after(reservation: &Reservation) -> Option<i64> {
    reservation.due_at.filter(|_| matches!(reservation.state, State::Held | State::Checkout))
}

async fn move_stock(tx: &mut Tx, reservation: &Reservation, kind: StockMove) -> Result<(), DbError> {
    for (line_no, line) in (1_i64..).zip(&reservation.lines) {
        let Some(product) = &line.product else { continue };
        store::record_movement(tx, reservation.id, line_no, kind, line).await?;
        if !store::move_stock(tx, kind, product, line.quantity).await? {
            return Err(DbError::Shape("stock that adds up"));
        }
    }
    Ok(())
}

async fn claim_all(tx: &mut Tx, reservation: &Reservation, seat_state: &'static str) -> Result<(), DbError> {
    let seats = reservation.seats();
    if !seats.is_empty() && store::claim_seats(tx, reservation, &seats, seat_state).await? != seats.len() {
        return Err(DbError::Shape("seats that stay free while they are locked"));
    }
    Ok(())
}

/// Whether all that a released reservation had is free again. Locks it, so that the answer stays true; writes nothing
/// but the release of what has lapsed.
async fn can_be_retaken(tx: &mut Tx, reservation: &Reservation) -> Result<bool, DbError> {
    let seats = reservation.seats();
    if let (Some(screening), false) = (&reservation.screening_id, seats.is_empty()) {
        let rows = store::lock_seats(tx, screening, &seats).await?;
        if rows.len() != seats.len() || !super::hold::free_lapsed(tx, &rows).await?.is_empty() {
            return Ok(false);
        }
    }
    for line in &reservation.lines {
        if let Some(product) = &line.product
            && store::lock_stock(tx, product).await? < line.quantity
        {
            return Ok(false);
        }
    }
    // A coupon that has paid for another order meanwhile is gone as a seat would be: the price was with it.
    let codes = reservation.coupon.as_deref().into_iter().collect();
    Ok(coupon::lock(tx, codes).await?.values().all(|coupon| coupon.used_by.is_none()))
}

fn new_ticket_code() -> String {
    let bytes: [u8; TICKET_CODE_CHARS] = rand::random();
    bytes.iter().map(|byte| char::from(TICKET_ALPHABET[usize::from(byte % 32)])).collect()
}
