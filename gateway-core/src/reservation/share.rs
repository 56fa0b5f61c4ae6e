//! Who gets what of a group's wishes, pure: the same as if they had come one by one, in the order of arrival.

use std::collections::{BTreeMap, HashMap};

use super::store::Stock;
use crate::base::{CustomerId, ReservationId};

/// What one order wants: each product once.
pub(super) struct Wish<'a> {
    pub(super) id: ReservationId,
    pub(super) customer: CustomerId,
    pub(super) lines: &'a [(String, i64)],
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

/// What it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// All of it.
    Granted,
    /// The same order again, under an id that was granted in this group: by its place in the group.
    Repeat { of: usize },
    /// Another order under an id that was granted in this group.
    KeyReused,
    /// Nothing: of this product there is not enough at its turn.
    Short { product: String, left: Stock },
    /// Nothing: the customer would have more of this product than one may.
    OverLimit { product: String, had: i64, most: i64 },
}

/// Deals out `left`, which is what remains afterwards. A product that is not in it has none.
pub(super) fn share(left: &mut BTreeMap<String, Stock>, quota: &mut Quota, wishes: &[Wish<'_>]) -> Vec<Share> {
    let mut granted: HashMap<ReservationId, usize> = HashMap::new();
    let mut shares = Vec::with_capacity(wishes.len());
    for (n, wish) in wishes.iter().enumerate() {
        let earlier = granted.get(&wish.id).and_then(|of| Some((*of, wishes.get(*of)?)));
        let share = match earlier {
            Some((of, first)) if first.customer == wish.customer && first.lines == wish.lines => Share::Repeat { of },
            Some(_) => Share::KeyReused,
            None => grant(left, quota, wish),
        };
        if share == Share::Granted {
            granted.insert(wish.id, n);
        }
        shares.push(share);
    }
    shares
}

fn grant(left: &mut BTreeMap<String, Stock>, quota: &mut Quota, wish: &Wish<'_>) -> Share {
    for (product, quantity) in wish.lines {
        if let Some((had, most)) = quota.exceeded(wish.customer, product, *quantity) {
            return Share::OverLimit { product: product.clone(), had, most };
        }
    }
    for (product, quantity) in wish.lines {
        let stock = left.get(product).copied().unwrap_or_default();
        if stock.available < *quantity {
            return Share::Short { product: product.clone(), left: stock };
        }
    }
    for (product, quantity) in wish.lines {
        quota.add(wish.customer, product, *quantity);
        if let Some(stock) = left.get_mut(product) {
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

    /// One shop, one customer at a time: what the group must come to.
    #[derive(Default)]
    struct OneByOne {
        available: BTreeMap<String, i64>,
        most_of_a: i64,
        orders: BTreeMap<u8, (u8, Vec<(String, i64)>)>,
    }

    impl OneByOne {
        /// `Ok` with whether it is new.
        fn order(&mut self, (id, customer, lines): &(u8, u8, Vec<(String, i64)>)) -> Result<bool, Option<String>> {
            if let Some((owner, had)) = self.orders.get(id) {
                return if owner == customer && had == lines { Ok(false) } else { Err(None) };
            }
            let a_of = |lines: &[(String, i64)]| lines.iter().filter(|(p, _)| p == "a").map(|(_, n)| n).sum::<i64>();
            let had: i64 = self.orders.values().filter(|(owner, _)| owner == customer).map(|(_, had)| a_of(had)).sum();
            if a_of(lines) > 0 && had + a_of(lines) > self.most_of_a {
                return Err(Some(String::from("more than one may have")));
            }
            let short = lines.iter().find(|(product, quantity)| self.available.get(product).unwrap_or(&0) < quantity);
            if let Some((product, _)) = short {
                return Err(Some(product.clone()));
            }
            for (product, quantity) in lines {
                *self.available.get_mut(product).expect("it was enough") -= quantity;
            }
            self.orders.insert(*id, (*customer, lines.clone()));
            Ok(true)
        }
    }

    fn id(n: u8) -> ReservationId {
        ReservationId::derived([n; 16])
    }

    fn order() -> impl Strategy<Value = (u8, u8, Vec<(String, i64)>)> {
        let lines = proptest::collection::btree_map("[a-d]", 1_i64..4, 1..3);
        (0_u8..40, 0_u8..3, lines.prop_map(|lines| lines.into_iter().collect()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_group_comes_to_the_same_as_one_by_one(
            available in proptest::collection::vec(0_i64..12, 3),
            orders in proptest::collection::vec(order(), 0..60),
            most_of_a in 1_i64..6,
        ) {
            let mut model = OneByOne { most_of_a, ..OneByOne::default() };
            let mut quota = Quota { most: BTreeMap::from([(String::from("a"), most_of_a)]), ..Quota::default() };
            let mut left = BTreeMap::new();
            for (product, available) in ["a", "b", "c"].into_iter().zip(available) {
                model.available.insert(product.to_owned(), available);
                left.insert(product.to_owned(), Stock { capacity: available, available, held: 0, sold: 0 });
            }
            let customer = |n: u8| CustomerId::derived([n; 16]);
            let wishes: Vec<Wish<'_>> =
                orders.iter().map(|(n, c, lines)| Wish { id: id(*n), customer: customer(*c), lines }).collect();
            let shares = share(&mut left, &mut quota, &wishes);
            prop_assert_eq!(shares.len(), orders.len());
            for (n, (share, order)) in shares.iter().zip(&orders).enumerate() {
                match (share, model.order(order)) {
                    (Share::Granted, Ok(true)) | (Share::KeyReused, Err(None)) => {}
                    (Share::Repeat { of }, Ok(false)) => prop_assert!(*of < n && shares[*of] == Share::Granted),
                    (Share::OverLimit { most, .. }, Err(Some(why))) if why.contains(' ') => {
                        prop_assert_eq!(*most, most_of_a);
                    }
                    (Share::Short { product, .. }, Err(Some(short))) => prop_assert_eq!(product, &short),
                    (share, alone) => prop_assert!(false, "{n}: {share:?} and {alone:?}"),
                }
            }
            for (product, stock) in &left {
                prop_assert_eq!(stock.available, model.available[product]);
                prop_assert!(stock.available >= 0);
                prop_assert_eq!(stock.available + stock.held, stock.capacity);
            }
        }
    }
}
