//! What is stored already and is not as a catalogue has it. It stays as it is: people may have bought it like that.

use super::seed::{Catalogue, HallRow, Sale};
use super::store;
use crate::db::{Db, DbError};

/// A number or a text of a row, by its name.
type Field = (&'static str, String);

/// A sentence for each difference.
pub(super) async fn differences(db: &Db, catalogue: &Catalogue) -> Result<Vec<String>, DbError> {
    let mut found = Vec::new();
    for film in &catalogue.films {
        let stored = store::stored_film(db, &film.id).await?;
        tell(&mut found, "film", &film.id, stored.as_deref(), &store::fields_of_film(film));
    }
    for sale in &catalogue.sales {
        let stored = store::stored_sale(db, &sale.id).await?;
        tell(&mut found, "sale", &sale.id, stored.as_deref(), &store::fields_of_sale(sale));
        of_sale(db, catalogue, sale, &mut found).await?;
    }
    Ok(found)
}

async fn of_sale(db: &Db, catalogue: &Catalogue, sale: &Sale, found: &mut Vec<String>) -> Result<(), DbError> {
    for screening in &sale.screenings {
        let seats = catalogue.hall(screening).iter().flat_map(HallRow::places);
        let (count, price) = seats.fold((0, 0), |(count, price), seat| (count + 1, price + seat.row.price));
        let stored = store::stored_screening(db, &screening.id).await?;
        let wanted = store::fields_of_screening(&sale.id, screening, count, price);
        tell(found, "screening", &screening.id, stored.as_deref(), &wanted);
    }
    for product in &sale.products {
        let stored = store::stored_product(db, &product.id).await?;
        tell(found, "product", &product.id, stored.as_deref(), &store::fields_of_product(&sale.id, product));
    }
    for campaign in &sale.campaigns {
        let stored = store::stored_campaign(db, &campaign.id).await?;
        tell(found, "campaign", &campaign.id, stored.as_deref(), &store::fields_of_campaign(&sale.id, campaign));
    }
    Ok(())
}

fn tell(found: &mut Vec<String>, kind: &str, id: &str, stored: Option<&[Field]>, wanted: &[Field]) {
    for ((name, stored), (_, wanted)) in stored.unwrap_or_default().iter().zip(wanted) {
        if stored != wanted {
            found.push(format!("{kind} {id}: {name} is {stored} in the database, {wanted} in the catalogue"));
        }
    }
}
