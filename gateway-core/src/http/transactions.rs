//! The three transaction calls, and the customer's own data.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::body::{Body, Fields, FromForm};
use super::page::Moment;
use super::page::account::{AccountPage, Payment};
use super::pay::{Method, check_token};
use super::people::{html, layout_of};
use super::problem::{Code, Problem};
use super::replay::{Effect, key_reused};
use super::visitor::{Customer, Form};
use super::{App, fill};
use crate::base::{AttemptId, Currency, CustomerId, Money, TransactionId, rfc3339};
use crate::payment::{After, Charge, Submitted, TransactionRow, transaction, transactions_of};

/// Below a thousand millions of the largest unit, and below what could be taken for a card number.
const AMOUNT_MAX: i64 = 999_999_999_999;

const DESCRIPTION_CHARS_MAX: usize = 500;

const CUSTOMER_REFERENCE_CHARS_MAX: usize = 128;

/// Transactions on one page: the usual number, and the most.
const PAGE: i64 = 20;
const PAGE_MAX: i64 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTransaction {
    amount: i64,
    currency: String,
    payment_method: Method,
    #[serde(default)]
    description: String,
    customer_id: Option<String>,
    payment_token: Option<String>,
}

impl FromForm for NewTransaction {
    fn from_form(fields: &Fields) -> Result<Self, Problem> {
        Ok(Self {
            amount: fields.number("amount")?,
            currency: fields.need("currency")?,
            payment_method: Method::named(&fields.need("payment_method")?)?,
            description: fields.one("description").unwrap_or_default().to_owned(),
            customer_id: fields.one("customer_id").map(str::to_owned),
            payment_token: fields.one("payment_token").map(str::to_owned),
        })
    }
}

#[derive(Deserialize)]
struct Page {
    limit: Option<i64>,
    after: Option<String>,
}

#[derive(Serialize)]
struct Created {
    transaction_id: String,
    status: &'static str,
    created_at: String,
}

#[derive(Serialize)]
struct View {
    transaction_id: String,
    status: &'static str,
    amount: i64,
    currency: Currency,
    payment_method: String,
    description: String,
    customer_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<String>,
    created_at: String,
    updated_at: String,
}

#[derive(Serialize)]
struct List {
    transactions: Vec<View>,
    /// Send it as `after` for the next page; null on the last one.
    next: Option<String>,
}

#[derive(Serialize)]
struct OwnData {
    customer_id: String,
    email: Option<String>,
    transactions: Vec<View>,
    next: Option<String>,
}

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/transactions", post(create))
        .route("/charge_create", post(create))
        .route("/transactions/{id}", get(show))
        .route("/customers/{id}/transactions", get(list))
        .route("/datapengguna", get(own_data))
}

async fn create(
    State(app): State<App>,
    Customer(customer): Customer,
    effect: Effect,
    Body(new): Body<NewTransaction>,
) -> Result<Response, Problem> {
    let money = check(&new, customer)?;
    let now_ms = app.db.now_ms().await?;
    let charge = Charge {
        id: effect.transaction(now_ms),
        attempt_id: effect.seed("attempt").map_or_else(|| AttemptId::new(now_ms), AttemptId::derived),
        customer,
        money,
        method: new.payment_method.name().to_owned(),
        description: new.description,
        customer_reference: new.customer_id.filter(|id| *id != customer.to_string()),
        token: new.payment_token,
    };
    match app.payments.submit(&charge).await? {
        Submitted::New(row) | Submitted::Again(row) => {
            let place = format!("/transactions/{}", row.id);
            let created = Created {
                transaction_id: row.id.to_string(),
                status: row.state.name(),
                created_at: rfc3339(row.created_at),
            };
            Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(created)).into_response())
        }
        Submitted::KeyReused => Err(key_reused()),
    }
}

async fn show(
    State(app): State<App>,
    Customer(customer): Customer,
    Path(id): Path<String>,
) -> Result<Json<View>, Problem> {
    let row = own(&app, customer, &id).await?.ok_or_else(no_such_transaction)?;
    Ok(Json(view(row)))
}

async fn list(
    State(app): State<App>,
    Customer(customer): Customer,
    Path(id): Path<String>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<List>, Problem> {
    // The id is the customer's own, or the name by which the customer's transactions call somebody.
    let reference = (id != customer.to_string()).then_some(id);
    let page = which(page)?;
    let first = page.after.is_none();
    let (rows, next) = read(&app, customer, reference.as_deref(), page).await?;
    if reference.is_some() && first && rows.is_empty() {
        return Err(Problem::new(Code::NotFound).detail("There is no such customer."));
    }
    Ok(Json(List { transactions: rows.into_iter().map(view).collect(), next }))
}

async fn own_data(
    State(app): State<App>,
    Customer(customer): Customer,
    form: Form,
    headers: HeaderMap,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Problem> {
    let email = app.auth.email(customer).await?;
    let (rows, next) = read(&app, customer, None, which(page)?).await?;
    let customer_id = customer.to_string();
    if form == Form::Json {
        let transactions = rows.into_iter().map(view).collect();
        return Ok(Json(OwnData { customer_id, email, transactions, next }).into_response());
    }
    Ok(html(&AccountPage {
        layout: layout_of(&app, &headers, "/datapengguna").await,
        email: email.unwrap_or_default(),
        customer_id,
        payments: rows.into_iter().map(shown).collect(),
        older_path: next.map(|after| format!("/datapengguna?after={after}")),
    }))
}

fn shown(row: TransactionRow) -> Payment {
    Payment {
        transaction_id: row.id.to_string(),
        status: row.state.name(),
        description: row.description,
        order_id: row.reservation_id.map(|id| id.to_string()),
        amount: fill::total(row.money),
        created_at: Moment { at_ms: row.created_at },
    }
}

fn which(page: Result<Query<Page>, QueryRejection>) -> Result<Page, Problem> {
    let wrong = |_| Problem::new(Code::InvalidBody).detail("limit is a whole number, after is a transaction's id.");
    page.map(|Query(page)| page).map_err(wrong)
}

/// A page of transactions, and where the next one begins.
async fn read(
    app: &App,
    customer: CustomerId,
    reference: Option<&str>,
    page: Page,
) -> Result<(Vec<TransactionRow>, Option<String>), Problem> {
    let limit = page.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let after = match page.after {
        None => None,
        Some(id) => {
            let last = own(app, customer, &id).await?;
            let last = last.ok_or_else(|| Problem::new(Code::NotFound).detail("There is no such place to go on."))?;
            Some(After { created_at: last.created_at, id: last.id })
        }
    };
    // One more than is shown says whether there is a next page.
    let mut rows = transactions_of(&app.db, customer, reference, after, limit.saturating_add(1)).await?;
    let shown = usize::try_from(limit).unwrap_or(rows.len());
    let more = rows.len() > shown;
    rows.truncate(shown);
    let next = rows.last().filter(|_| more).map(|row| row.id.to_string());
    Ok((rows, next))
}

/// Somebody else's is not there.
async fn own(app: &App, customer: CustomerId, id: &str) -> Result<Option<TransactionRow>, Problem> {
    let Some(id) = TransactionId::parse(id) else { return Ok(None) };
    Ok(transaction(&app.db, id).await?.filter(|row| row.customer_id == customer))
}

fn no_such_transaction() -> Problem {
    Problem::new(Code::NotFound).detail("There is no such transaction.")
}

fn view(row: TransactionRow) -> View {
    View {
        transaction_id: row.id.to_string(),
        status: row.state.name(),
        amount: row.money.amount,
        currency: row.money.currency,
        payment_method: row.payment_method,
        description: row.description,
        customer_id: row.customer_reference.unwrap_or_else(|| row.customer_id.to_string()),
        order_id: row.reservation_id.map(|id| id.to_string()),
        created_at: rfc3339(row.created_at),
        updated_at: rfc3339(row.updated_at),
    }
}

fn check(new: &NewTransaction, customer: CustomerId) -> Result<Money, Problem> {
    let wrong = |field: &'static str, detail: String| {
        Err(Problem::new(Code::InvalidPayment).detail(detail).with("field", field))
    };
    if !(1..=AMOUNT_MAX).contains(&new.amount) {
        return wrong("amount", format!("amount must be 1 to {AMOUNT_MAX} minor units."));
    }
    let Some(currency) = Currency::parse(&new.currency) else {
        return wrong("currency", "currency must be three capital letters.".to_owned());
    };
    if new.description.chars().count() > DESCRIPTION_CHARS_MAX || new.description.chars().any(char::is_control) {
        return wrong("description", format!("description may have {DESCRIPTION_CHARS_MAX} printable characters."));
    }
    if let Some(id) = &new.customer_id {
        let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic());
        if !plain || id.len() > CUSTOMER_REFERENCE_CHARS_MAX {
            return wrong("customer_id", format!("customer_id has 1 to {CUSTOMER_REFERENCE_CHARS_MAX} characters."));
        }
        if CustomerId::parse(id).is_some_and(|id| id != customer) {
            return wrong("customer_id", "customer_id is somebody else's.".to_owned());
        }
    }
    check_token(new.payment_token.as_deref())?;
    Ok(Money { amount: new.amount, currency })
}
