//! The flash sale: products, and the one call that takes stock and makes an order of it.

use axum::extract::{OriginalUri, Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::body::{Body, Fields, FromForm, wanted};
use super::page::clock;
use super::page::sale::{FlashSalePage, ProductPage};
use super::people::{html, layout_of};
use super::problem::{Code, Problem};
use super::replay::{Effect, key_reused};
use super::visitor::{Customer, Form};
use super::{App, coupons, fill, orders, people, view};
use crate::base::rfc3339;
use crate::catalogue::{self, Opening, SaleState};
use crate::coupon;
use crate::reservation::{self, HoldStock, Lost, Refused, StockOutcome};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/flashsale", get(products))
        .route("/products/{id}", get(product))
        .route("/pilihproduk/{id}", get(product))
        .route("/checkout", post(checkout))
        .route("/api/orders", post(order))
}

async fn products(State(app): State<App>, form: Form, headers: HeaderMap) -> Result<Response, Problem> {
    let products = catalogue::products(&app.db).await?;
    Ok(match form {
        Form::Json => {
            Json(json!({ "products": products.iter().map(view::product).collect::<Vec<_>>() })).into_response()
        }
        Form::Page => {
            let layout = layout_of(&app, &headers, "/flashsale").await;
            html(&FlashSalePage { layout, products: products.iter().map(fill::product).collect() })
        }
    })
}

async fn product(
    State(app): State<App>,
    Path(id): Path<String>,
    form: Form,
    viewer: Option<Customer>,
    uri: OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let missing = || {
        let problem = Problem::new(Code::NotFound).detail("There is no such product.");
        problem.onward("/flashsale", "To the flash sale")
    };
    let product = catalogue::product(&app.db, &id).await?.ok_or_else(missing)?;
    if form == Form::Json {
        return Ok(Json(view::product(&product)).into_response());
    }
    let (mut may_return_in_ms, mut offers) = (None, Vec::new());
    match product.state() {
        SaleState::AllHeld => may_return_in_ms = reservation::product_returns_in_ms(&app.db, &id).await?,
        SaleState::OnSale => offers = coupon::offers(&app.db, &id, viewer.map(|viewer| viewer.0)).await?,
        SaleState::SoldOut | SaleState::NotStarted { .. } | SaleState::Ended => {}
    }
    Ok(html(&ProductPage {
        layout: layout_of(&app, &headers, uri.path()).await,
        product: fill::product(&product),
        may_return_in_ms,
        coupons: offers.into_iter().map(|offer| fill::coupon(offer, product.price.currency)).collect(),
        pay_ms: product.pay_ms,
        idempotency_key: fill::fresh_key(),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    product_id: String,
    quantity: i64,
}

impl Line {
    /// Product and quantity.
    pub(super) fn into_pair(self) -> (String, i64) {
        (self.product_id, self.quantity)
    }
}

impl FromForm for Line {
    fn from_form(fields: &Fields) -> Result<Self, Problem> {
        Ok(Self { product_id: fields.need("product_id")?, quantity: fields.number("quantity")? })
    }
}

/// One product, as the product's page orders it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Purchase {
    product_id: String,
    quantity: i64,
    coupon: Option<String>,
}

impl FromForm for Purchase {
    fn from_form(fields: &Fields) -> Result<Self, Problem> {
        let Line { product_id, quantity } = Line::from_form(fields)?;
        Ok(Self { product_id, quantity, coupon: coupon_field(fields) })
    }
}

/// A field that was left empty is no coupon.
fn coupon_field(fields: &Fields) -> Option<String> {
    fields.one("coupon").map(str::trim).filter(|code| !code.is_empty()).map(str::to_owned)
}

async fn checkout(
    State(app): State<App>,
    form: Form,
    customer: Result<Customer, Problem>,
    effect: Effect,
    request: Request,
) -> Result<Response, Problem> {
    let back = |purchase: &Purchase| (product_path(&purchase.product_id), "Back");
    let (customer, Purchase { product_id, quantity, coupon }) = wanted(&app, form, customer, request, back).await?;
    let back = product_path(&product_id);
    let order = Order { lines: vec![Line { product_id, quantity }], coupon };
    let taken = take(&app, form, customer, &effect, order).await;
    taken.map_err(|problem| if is_about_coupon(problem.code) { problem.onward(back, "Back") } else { problem })
}

fn product_path(product: &str) -> String {
    format!("/products/{}", people::escaped(product))
}

/// Without the coupon the order may be possible.
fn is_about_coupon(code: Code) -> bool {
    matches!(
        code,
        Code::NoSuchCoupon | Code::CouponUsed | Code::CouponUnfit | Code::CampaignNotStarted | Code::CampaignEnded
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    lines: Vec<Line>,
    coupon: Option<String>,
}

impl FromForm for Order {
    fn from_form(fields: &Fields) -> Result<Self, Problem> {
        Ok(Self { lines: vec![Line::from_form(fields)?], coupon: coupon_field(fields) })
    }
}

async fn order(
    State(app): State<App>,
    form: Form,
    customer: Customer,
    effect: Effect,
    Body(order): Body<Order>,
) -> Result<Response, Problem> {
    take(&app, form, customer, &effect, order).await
}

async fn take(app: &App, form: Form, customer: Customer, effect: &Effect, order: Order) -> Result<Response, Problem> {
    let id = effect.reservation(app.db.local_ms());
    let lines = order.lines.into_iter().map(|line| (line.product_id, line.quantity)).collect();
    let ask = HoldStock { id, customer: customer.0, lines, coupon: order.coupon };
    match app.peers.reserve(&app.stock, &ask).await? {
        StockOutcome::Ordered(order) => Ok(orders::new(form, &order)),
        StockOutcome::Repeated(order) => orders::answer(app, form, &order, StatusCode::CREATED).await,
        StockOutcome::Refused(refused) => Err(problem(refused).onward("/flashsale", "To the flash sale")),
    }
}

/// Why nothing is ordered.
pub(super) fn problem(refused: Refused) -> Problem {
    match refused {
        Refused::SoldOut { lost } => {
            let detail = match lost.first() {
                Some(Lost { available: left @ 1.., .. }) => format!("Only {left} are left."),
                _ => String::from("There is none left."),
            };
            of_lost(Problem::new(Code::SoldOut).detail(detail), lost)
        }
        Refused::AllHeld { lost, may_return_in_ms } => of_lost(all_held(may_return_in_ms), lost),
        Refused::NoSuchProduct(product) => Problem::new(Code::NoSuchProduct).with("product_id", product),
        Refused::NoLines => Problem::new(Code::NoLines).detail("Choose at least one of something."),
        Refused::TooMany { product, per_order_max } => Problem::new(Code::TooMany)
            .detail(format!("One order may take {per_order_max}."))
            .with("product_id", product)
            .with("per_order_max", per_order_max),
        Refused::TooManyLines => {
            let lines_max = reservation::LINES_MAX;
            Problem::new(Code::TooMany).detail(format!("One order may have {lines_max} products."))
        }
        Refused::MixedSales => Problem::new(Code::MixedSales),
        Refused::Closed(opening) => closed(opening),
        Refused::OverLimit { product, had, per_customer_max } => {
            over_limit(had, per_customer_max).with("product_id", product)
        }
        Refused::Coupon(refused) => coupons::problem(&refused),
        Refused::KeyReused => key_reused(),
    }
}

/// Names the first product of which too little is left, and then all of them.
fn of_lost(problem: Problem, lost: Vec<Lost>) -> Problem {
    let problem = match lost.len() {
        0 | 1 => problem,
        several => problem.detail(format!("Of {several} products less is left than you want.")),
    };
    let problem = match lost.first() {
        Some(first) => problem.with("product_id", first.product.clone()).with("available", first.available),
        None => problem,
    };
    let all: Vec<_> = lost
        .into_iter()
        .map(|Lost { product, available }| json!({ "product_id": product, "available": available }))
        .collect();
    problem.with("lost", all)
}

/// The problem of a sale that does not sell now.
pub(super) fn closed(opening: Opening) -> Problem {
    match opening {
        Opening::NotStarted { starts_at } => Problem::new(Code::SaleNotStarted)
            .detail(format!("The sale begins at {}.", rfc3339(starts_at)))
            .with("starts_at", rfc3339(starts_at)),
        Opening::Ended { ends_at } => Problem::new(Code::SaleEnded)
            .detail(format!("The sale ended at {}.", rfc3339(ends_at)))
            .with("ended_at", rfc3339(ends_at)),
        Opening::Open => Problem::new(Code::Internal),
    }
}

/// The problem of who has, or would have, more than one customer may.
pub(super) fn over_limit(had: i64, per_customer_max: i64) -> Problem {
    let detail = format!("One customer may have {per_customer_max}, and you have {had}.");
    Problem::new(Code::CustomerLimit).detail(detail).with("had", had).with("per_customer_max", per_customer_max)
}

/// When looking again is worth it where no basket has a time: payments under way end all the time.
const ALL_HELD_RETRY_MS: i64 = 5_000;

/// The problem of goods that are all in baskets. The first of these has so much time left.
pub(super) fn all_held(may_return_in_ms: Option<i64>) -> Problem {
    let problem = Problem::new(Code::AllHeld).retry_after_ms(may_return_in_ms.unwrap_or(ALL_HELD_RETRY_MS));
    match may_return_in_ms {
        Some(in_ms) => problem
            .detail(format!(
                "What is left is in other baskets. The first of them runs out in {}: what is not paid by then comes back.",
                clock(in_ms)
            ))
            .with("may_return_in_ms", in_ms),
        None => problem.detail("What is left is being paid for. It comes back if a payment fails."),
    }
}
