//! Request bodies: JSON or a form, read up to a limit, and every way in which they can be wrong.

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::App;
use super::problem::{Code, Problem};
use super::visitor::{Customer, Form};

/// The fields of a form, in order; a name may come more than once.
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded`.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Problem> {
        let malformed = || Problem::new(Code::MalformedBody).detail("The form cannot be read.");
        let text = std::str::from_utf8(body).map_err(|_| malformed())?;
        let uri = http::Uri::builder().path_and_query(format!("/?{text}")).build().map_err(|_| malformed())?;
        let fields = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).map_err(|_| malformed())?;
        Ok(Self(fields.0))
    }

    /// The first of this name.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// All of this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// All names and values.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()])
    }

    /// The first of this name, or a problem that says that it is missing.
    pub(crate) fn need(&self, name: &str) -> Result<String, Problem> {
        let missing = || Problem::new(Code::InvalidBody).detail(format!("The field {name} is missing."));
        self.one(name).map(str::to_owned).ok_or_else(missing)
    }

    /// The first of this name as a whole number.
    pub(crate) fn number(&self, name: &str) -> Result<i64, Problem> {
        let wrong = |_| Problem::new(Code::InvalidBody).detail(format!("The field {name} must be a whole number."));
        self.need(name)?.parse().map_err(wrong)
    }
}

/// A body that also comes as a form.
pub(crate) trait FromForm: Sized {
    /// Takes what it needs from the fields and leaves the rest.
    fn from_form(fields: &Fields) -> Result<Self, Problem>;
}

/// The body of a request, from JSON or a form.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned + FromForm> FromRequest<App> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let form = is_form(request.headers());
        let json = is_json(request.headers());
        let bytes = read(request.into_body(), app.settings.body_bytes_max).await?;
        match (form, json) {
            (true, _) => T::from_form(&Fields::parse(&bytes)?).map(Self),
            (_, true) => from_json(&bytes).map(Self),
            _ => Err(Problem::new(Code::UnsupportedBody)
                .detail("Send application/json, or application/x-www-form-urlencoded from a page.")),
        }
    }
}

/// Who wants what. People who are not logged in come back from that to what they wanted, to the path that `back` knows.
pub(crate) async fn wanted<T: DeserializeOwned + FromForm>(
    app: &App,
    form: Form,
    customer: Result<Customer, Problem>,
    request: Request,
    back: impl FnOnce(&T) -> (String, &'static str),
) -> Result<(Customer, T), Problem> {
    // Apps are told what is wrong with their token before what is wrong with their body.
    if form == Form::Json {
        let customer = customer?;
        let Body(wanted) = Body::from_request(request, app).await?;
        return Ok((customer, wanted));
    }
    let Body(wanted) = Body::from_request(request, app).await?;
    match customer {
        Ok(customer) => Ok((customer, wanted)),
        Err(problem) => {
            let (path, label) = back(&wanted);
            Err(problem.onward(path, label))
        }
    }
}

/// Reads JSON and says where it is wrong: 400 if it is no JSON, 422 if it is not what is wanted.
pub(crate) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            serde_json::error::Category::Data => {
                Problem::new(Code::InvalidBody).detail(without_values(&error.to_string()))
            }
            serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof
            | serde_json::error::Category::Io => Problem::new(Code::MalformedBody)
                .detail(format!("This is no JSON from line {line}, column {column} on."))
                .with("line", line)
                .with("column", column),
        }
    })
}

/// The reason without what was sent: a value has no place in an answer or a log.
fn without_values(reason: &str) -> String {
    let quoted = reason.split('"').step_by(2).collect::<Vec<_>>().join("…");
    match quoted.find("integer `").or_else(|| quoted.find("floating point `")) {
        Some(at) => match (quoted[at..].find('`'), quoted.find("`, ")) {
            (Some(open), Some(close)) if at + open < close => format!("{}…{}", &quoted[..=at + open], &quoted[close..]),
            _ => quoted,
        },
        None => quoted,
    }
}

/// The whole body, or 413.
pub(crate) async fn read(body: axum::body::Body, bytes_max: usize) -> Result<Bytes, Problem> {
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::new(Code::BodyTooLarge)
            .detail(format!("A body may have {bytes_max} bytes."))
            .with("bytes_max", bytes_max)),
        Err(_) => Err(Problem::new(Code::MalformedBody).detail("The body ended too early.")),
    }
}

/// Whether a form was sent.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    media_type(headers).eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Whether JSON was sent. No type at all counts: a body is only read where JSON or a form is meant.
fn is_json(headers: &HeaderMap) -> bool {
    let media = media_type(headers).to_ascii_lowercase();
    media.is_empty() || media == "application/json" || media.ends_with("+json")
}

fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_field_may_repeat_and_hold_anything() {
        let fields = Fields::parse(b"seats=A1&seats=A2&next=%2Ffilms%3Fa%3Db+c").expect("a form");
        assert_eq!(fields.all("seats").collect::<Vec<_>>(), ["A1", "A2"]);
        assert_eq!(fields.one("next"), Some("/films?a=b c"));
        assert!(fields.need("other").is_err());
        assert!(Fields::parse(&[0xff, 0xfe]).is_err());
    }

    #[test]
    fn a_reason_does_not_repeat_the_value() {
        let shown = |json: &str| from_json::<Vec<bool>>(json.as_bytes()).expect_err("a problem").detail.into_owned();
        assert!(!shown("[4111111111111111]").contains("4111"), "{}", shown("[4111111111111111]"));
        assert!(!shown("[\"4111111111111111\"]").contains("4111"));
        assert!(shown("[true").contains("line 1"));
    }
}
