//! Films and their screenings: open to everybody.

use axum::extract::{OriginalUri, Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::page::films::{FilmPage, FilmsPage};
use super::people::{html, layout_of};
use super::problem::{Code, Problem};
use super::visitor::Form;
use super::{App, fill, view};
use crate::catalogue::{self, Film};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/films", get(films))
        .route("/films/{id}", get(film))
        .route("/films/{id}/screenings", get(screenings))
}

async fn films(State(app): State<App>, form: Form, headers: HeaderMap) -> Result<Response, Problem> {
    let films = catalogue::films(&app.db).await?;
    Ok(match form {
        Form::Json => Json(json!({ "films": films.iter().map(view::film).collect::<Vec<_>>() })).into_response(),
        Form::Page => {
            let films = films.into_iter().map(fill::film).collect();
            html(&FilmsPage { layout: layout_of(&app, &headers, "/films").await, films })
        }
    })
}

async fn film(
    State(app): State<App>,
    Path(id): Path<String>,
    form: Form,
    uri: OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let film = found(&app, &id).await?;
    let screenings = catalogue::screenings(&app.db, &id).await?;
    Ok(match form {
        Form::Json => {
            let mut view = view::film(&film);
            view["screenings"] = screenings.iter().map(view::screening).collect();
            Json(view).into_response()
        }
        Form::Page => {
            let layout = layout_of(&app, &headers, uri.path()).await;
            let screenings = screenings.iter().map(fill::screening).collect();
            html(&FilmPage { layout, film: fill::film(film), screenings })
        }
    })
}

async fn screenings(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    found(&app, &id).await?;
    let screenings = catalogue::screenings(&app.db, &id).await?;
    Ok(Json(json!({ "screenings": screenings.iter().map(view::screening).collect::<Vec<_>>() })))
}

async fn found(app: &App, id: &str) -> Result<Film, Problem> {
    let missing = || Problem::new(Code::NotFound).detail("There is no such film.").onward("/films", "See the films");
    catalogue::film(&app.db, id).await?.ok_or_else(missing)
}
