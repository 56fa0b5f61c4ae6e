//! Who gets what of a group's wishes, pure: the same as if they had come one by one, in the order of arrival.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::store::Stock;
use crate::base::{CustomerId, ReservationId};

/// What one order wants: each product once, and with a coupon that fits it.
pub(super) struct Wish<'a> {
    pub(super) id: ReservationId,
    pub(super) customer: CustomerId,
    pub(super) lines: &'a [(String, i64)],
    pub(super) coupon: Option<&'a str>,
}

/// What one customer may have of a product at most, and has.
#[derive(Clone, Debug, Default)]
pub(super) struct Quota {
    /// Products without a limit are not in it.
    pub(super) most: BTreeMap<String, i64>,
    pub(super) had: HashMap<(CustomerId, String), i64>,
}

impl Quota {
    /// How many the customer has of a product that has a limit, and the limit, where so many more would be too many.
    fn exceeded(&self, customer: CustomerId, product: &str, quantity: i64) -> Option<(i64, i64)> {
        let most = *self.most.get(product)?;
        let had = self.had.get(&(customer, product.to_owned())).copied().unwrap_or(0);
        (had.saturating_add(quantity) > most).then_some((had, most))
    }

    fn add(&mut self, customer: CustomerId, product: &str, quantity: i64) {
        if self.most.contains_key(product) {
            *self.had.entry((customer, product.to_owned())).or_default() += quantity;
        }
    }
}

/// What is dealt out; what remains of it afterwards.
#[derive(Clone, Debug, Default)]
pub(super) struct Pot<'a> {
    /// A product that is not in it has none.
    pub(super) stock: BTreeMap<String, Stock>,
    pub(super) quota: Quota,
    /// Coupons that no order has.
    pub(super) unused: HashSet<&'a str>,
}

/// What it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// All of it.
    Granted,
    /// The same order again, under an id that was granted in this group: by its place in the group.
    Repeat { of: usize },
    /// Another order under an id that was granted in this group.
    KeyReused,
    /// Nothing: another order has its coupon.
    CouponUsed { code: String },
    /// Nothing: of these products there is not enough at its turn.
    Short { lost: Vec<(String, Stock)> },
    /// Nothing: the customer would have more of this product than one may.
    OverLimit { product: String, had: i64, most: i64 },
}

/// Deals out what is in the pot, in the order of the wishes.
pub(super) fn share<'a>(pot: &mut Pot<'a>, wishes: &[Wish<'a>]) -> Vec<Share> {
    let mut granted: HashMap<ReservationId, usize> = HashMap::new();
    let mut shares = Vec::with_capacity(wishes.len());
    for (n, wish) in wishes.iter().enumerate() {
        let earlier = granted.get(&wish.id).and_then(|of| Some((*of, wishes.get(*of)?)));
        let share = match earlier {
            Some((of, first)) if first.is_the_same_as(wish) => Share::Repeat { of },
            Some(_) => Share::KeyReused,
            None => grant(pot, wish),
        };
        if share == Share::Granted {
            granted.insert(wish.id, n);
        }
        shares.push(share);
    }
    shares
}

impl Wish<'_> {
    fn is_the_same_as(&self, other: &Self) -> bool {
        self.customer == other.customer && self.lines == other.lines && self.coupon == other.coupon
    }
}

fn grant(pot: &mut Pot<'_>, wish: &Wish<'_>) -> Share {
    if let Some(code) = wish.coupon
        && !pot.unused.contains(code)
    {
        return Share::CouponUsed { code: code.to_owned() };
    }
    for (product, quantity) in wish.lines {
        if let Some((had, most)) = pot.quota.exceeded(wish.customer, product, *quantity) {
            return Share::OverLimit { product: product.clone(), had, most };
        }
    }
    let left = |product: &String| pot.stock.get(product).copied().unwrap_or_default();
    let lost = wish.lines.iter().map(|(product, quantity)| (product, *quantity, left(product)));
    let lost = lost.filter(|(_, quantity, left)| left.available < *quantity);
    let lost: Vec<_> = lost.map(|(product, _, left)| (product.clone(), left)).collect();
    if !lost.is_empty() {
        return Share::Short { lost };
    }
    if let Some(code) = wish.coupon {
        pot.unused.remove(code);
    }
    for (product, quantity) in wish.lines {
        pot.quota.add(wish.customer, product, *quantity);
        if let Some(stock) = pot.stock.get_mut(product) {
            stock.available -= quantity;
            stock.held += quantity;
        }
    }
    Share::Granted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Ask {
        id: u8,
        customer: u8,
        lines: Vec<(String, i64)>,
        coupon: Option<String>,
    }

    /// One shop, one customer at a time: what the group must come to.
    #[derive(Default)]
    struct OneByOne {
        available: BTreeMap<String, i64>,
        most_of_a: i64,
        used: HashSet<String>,
        orders: BTreeMap<u8, Ask>,
    }

    #[derive(Debug)]
    enum No {
        OtherOrder,
        Used(String),
        TooMany,
        Short(Vec<String>),
    }

    impl OneByOne {
        /// `Ok` with whether it is new.
        fn order(&mut self, ask: &Ask) -> Result<bool, No> {
            if let Some(had) = self.orders.get(&ask.id) {
                return if had == ask { Ok(false) } else { Err(No::OtherOrder) };
            }
            if let Some(code) = ask.coupon.as_ref().filter(|code| self.used.contains(*code)) {
                return Err(No::Used(code.clone()));
            }
            let lines = &ask.lines;
            let a_of = |ask: &Ask| ask.lines.iter().filter(|(p, _)| p == "a").map(|(_, n)| n).sum::<i64>();
            let had: i64 = self.orders.values().filter(|had| had.customer == ask.customer).map(a_of).sum();
            if a_of(ask) > 0 && had + a_of(ask) > self.most_of_a {
                return Err(No::TooMany);
            }
            let short = lines.iter().filter(|(product, quantity)| self.available.get(product).unwrap_or(&0) < quantity);
            let short: Vec<String> = short.map(|(product, _)| product.clone()).collect();
            if !short.is_empty() {
                return Err(No::Short(short));
            }
            for (product, quantity) in lines {
                *self.available.get_mut(product).expect("it was enough") -= quantity;
            }
            self.used.extend(ask.coupon.clone());
            self.orders.insert(ask.id, ask.clone());
            Ok(true)
        }
    }

    fn id(n: u8) -> ReservationId {
        ReservationId::derived([n; 16])
    }

    fn ask() -> impl Strategy<Value = Ask> {
        let lines = proptest::collection::btree_map("[a-d]", 1_i64..4, 1..3);
        (0_u8..40, 0_u8..3, lines, proptest::option::of("[A-F]")).prop_map(|(id, customer, lines, coupon)| Ask {
            id,
            customer,
            lines: lines.into_iter().collect(),
            coupon,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_group_comes_to_the_same_as_one_by_one(
            available in proptest::collection::vec(0_i64..12, 3),
            used in proptest::collection::hash_set("[A-F]", 0..4),
            asks in proptest::collection::vec(ask(), 0..60),
            most_of_a in 1_i64..6,
        ) {
            let mut model = OneByOne { most_of_a, used: used.clone(), ..OneByOne::default() };
            let mut pot = Pot::default();
            pot.quota.most.insert(String::from("a"), most_of_a);
            for (product, available) in ["a", "b", "c"].into_iter().zip(available) {
                model.available.insert(product.to_owned(), available);
                pot.stock.insert(product.to_owned(), Stock { capacity: available, available, held: 0, sold: 0 });
            }
            let customer = |n: u8| CustomerId::derived([n; 16]);
            let wishes: Vec<Wish<'_>> = asks
                .iter()
                .map(|ask| Wish {
                    id: id(ask.id),
                    customer: customer(ask.customer),
                    lines: &ask.lines,
                    coupon: ask.coupon.as_deref(),
                })
                .collect();
            pot.unused = ["A", "B", "C", "D", "E", "F"].into_iter().filter(|code| !used.contains(*code)).collect();
            let shares = share(&mut pot, &wishes);
            prop_assert_eq!(shares.len(), asks.len());
            for (n, (share, ask)) in shares.iter().zip(&asks).enumerate() {
                match (share, model.order(ask)) {
                    (Share::Granted, Ok(true)) | (Share::KeyReused, Err(No::OtherOrder)) => {}
                    (Share::Repeat { of }, Ok(false)) => prop_assert!(*of < n && shares[*of] == Share::Granted),
                    (Share::OverLimit { most, .. }, Err(No::TooMany)) => prop_assert_eq!(*most, most_of_a),
                    (Share::CouponUsed { code }, Err(No::Used(used))) => prop_assert_eq!(code, &used),
                    (Share::Short { lost }, Err(No::Short(short))) => {
                        prop_assert_eq!(lost.iter().map(|(product, _)| product.clone()).collect::<Vec<_>>(), short);
                    }
                    (share, alone) => prop_assert!(false, "{n}: {share:?} and {alone:?}"),
                }
            }
            for code in ["A", "B", "C", "D", "E", "F"] {
                prop_assert_ne!(pot.unused.contains(code), model.used.contains(code));
            }
            for (product, stock) in &pot.stock {
                prop_assert_eq!(stock.available, model.available[product]);
                prop_assert!(stock.available >= 0);
                prop_assert_eq!(stock.available + stock.held, stock.capacity);
            }
        }
    }
}
