//! Lists: cut into pages, with the fields and in the form that are asked for. One layer does it for all of
//! them, so no list can be without.

use std::fmt;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{SCHEMA_VERSION, csv, query};
use crate::app::Core;
use crate::guard::Rejection;
use crate::problem::Problem;

/// The most items of one answer, and as many as there are without being told.
pub(crate) const MAX_ITEMS: usize = 10_000;
/// The same of a table or of lines: a month of a path's windows at one a minute.
pub(crate) const MAX_ROWS: usize = 44_640;
/// How far into a list one can go page by page; what lies beyond is asked for by time.
const MAX_POSITION: usize = 1_000_000;
/// How far what is added in front may move a list from one page to the next.
const MOVED: usize = 1_000;
/// The most fields that can be named.
const MAX_FIELDS: usize = 200;
/// From so many items on they are written on a thread that may take its time.
const MANY: usize = 100;
/// What an item is known by from one page to the next: the first of these, where it has one.
const IDENTITIES: [&str; 2] = ["id", "number"];
/// Otherwise all of these that it has, none of which changes between two pages.
const STEADY: [&str; 23] = [
    "revision",
    "version",
    "name",
    "task",
    "kind",
    "period",
    "prefix",
    "started_utc",
    "from_utc",
    "date_local",
    "weekday",
    "hour_local",
    "direction",
    "target",
    "link",
    "cause",
    "region",
    "scope",
    "subject",
    "profile",
    "requirement",
    "limits_version",
    "reason",
];

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    Json,
    Csv,
    Ndjson,
}

impl Format {
    /// The media type that an `Accept` prefers of those that there are (RFC 9110, section 12.5.1); JSON
    /// where it names none of them.
    fn accepted(headers: &HeaderMap) -> Self {
        let mut best = (0.0, Self::Json);
        let named = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        for range in named.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let format = match parts.next().map(str::to_ascii_lowercase).as_deref() {
                Some("application/json" | "application/*" | "*/*") => Self::Json,
                Some("text/csv") => Self::Csv,
                Some("application/x-ndjson" | "application/ndjson" | "application/jsonl") => {
                    Self::Ndjson
                }
                _ => continue,
            };
            let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f64>().ok());
            let weight = weight.unwrap_or(1.0);
            if weight > best.0 {
                best = (weight, format);
            }
        }
        best.1
    }
}

/// What every list takes beside its own parameters.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct ListQuery {
    /// The most items of the answer; more than 10,000 (as CSV or NDJSON 44,640) are as many.
    #[schemars(range(min = 1))]
    limit: Option<usize>,
    /// Where to go on: the `next` of an answer before, asked with the same other parameters.
    after: Option<String>,
    /// Only these fields of each item, separated by commas.
    fields: Option<String>,
    /// The form of the answer; goes before the header `Accept`.
    format: Option<Format>,
}

/// How a list is wanted.
#[derive(Debug, Clone)]
pub(crate) struct View {
    limit: Option<usize>,
    after: Option<String>,
    fields: Option<Vec<String>>,
    format: Format,
}

impl View {
    fn read(parts: &Parts) -> Result<Self, Problem> {
        let asked = Query::<ListQuery>::try_from_uri(&parts.uri);
        let ListQuery { limit, after, fields, format } = query(asked)?;
        if limit == Some(0) {
            return Err(Problem::bad_request("limit must be at least 1"));
        }
        let fields: Option<Vec<String>> =
            fields.map(|fields| fields.split(',').map(|field| field.trim().to_owned()).collect());
        if fields.as_ref().is_some_and(|fields| fields.len() > MAX_FIELDS) {
            return Err(Problem::bad_request(format!("at most {MAX_FIELDS} fields can be named")));
        }
        let format = format.unwrap_or_else(|| Format::accepted(&parts.headers));
        Ok(Self { limit, after, fields, format })
    }

    /// Whole items, for who answers in another form.
    pub(crate) const fn of(limit: usize, after: Option<String>) -> Self {
        Self { limit: Some(limit), after, fields: None, format: Format::Json }
    }

    fn check_fields(&self, known: fn() -> Vec<String>) -> Result<(), Problem> {
        let Some(fields) = &self.fields else { return Ok(()) };
        let known = known();
        match fields.iter().find(|field| !known.contains(field)) {
            None => Ok(()),
            Some(field) => {
                let known = known.join(", ");
                Err(Problem::bad_request(format!("there is no field {field:?}, only {known}")))
            }
        }
    }

    /// How many items the answer has at most, where `usual` are given without being told.
    pub(crate) fn limit(&self, usual: usize) -> usize {
        match self.format {
            Format::Json => self.limit.unwrap_or(usual).min(MAX_ITEMS),
            Format::Csv | Format::Ndjson => self.limit.unwrap_or(MAX_ROWS).min(MAX_ROWS),
        }
    }

    /// How many items of a long list must be read to write this page of it and to know whether there are more.
    pub(crate) fn reach(&self) -> Result<usize, Problem> {
        let position = self.after()?.map_or(0, |after| after.position);
        // What was added in front meanwhile moves the rest.
        Ok(position + self.limit(MAX_ITEMS) + MOVED)
    }

    /// Where to go on, for a list that goes by marks of its own.
    pub(crate) fn mark<T>(
        &self,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(after) = &self.after else { return Ok(None) };
        read(after).map(Some).ok_or_else(not_next)
    }

    /// For a list that has one page: there is nowhere to go on.
    pub(crate) fn only_page(&self) -> Result<(), Problem> {
        self.mark(|_| None::<()>).map(drop)
    }

    fn after(&self) -> Result<Option<After>, Problem> {
        self.mark(After::read)
    }
}

fn not_next() -> Problem {
    Problem::bad_request("after must be what an answer of this list gave as next")
}

impl FromRequestParts<Core> for View {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _core: &Core) -> Result<Self, Rejection> {
        parts.extensions.get().cloned().ok_or_else(|| Rejection(Problem::internal()))
    }
}

/// Where a page ended: so many items into the list, after the item with this digest of its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct After {
    position: usize,
    digest: u64,
}

impl After {
    fn read(text: &str) -> Option<Self> {
        let (position, digest) = text.split_once('-')?;
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !plain(position) || !plain(digest) {
            return None;
        }
        let position = position.parse().ok().filter(|at| (1..=MAX_POSITION).contains(at))?;
        Some(Self { position, digest: u64::from_str_radix(digest, 16).ok()? })
    }
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", self.position, self.digest)
    }
}

/// A list as its handler gives it: all of it, or one page that the handler cut itself.
#[derive(Debug)]
pub(crate) struct Listing<T> {
    items: Vec<T>,
    cut: Option<Option<String>>,
    name: Option<String>,
}

/// The whole list; the layer cuts it.
pub(crate) fn items<T>(items: Vec<T>) -> Listing<T> {
    Listing { items, cut: None, name: None }
}

impl<T> Listing<T> {
    /// A page, and where the next one begins.
    pub(crate) fn page(items: Vec<T>, next: Option<String>) -> Self {
        Self { items, cut: Some(next), name: None }
    }

    /// What its file is called, without its ending.
    pub(crate) fn named(self, name: String) -> Self {
        Self { name: Some(name), ..self }
    }
}

/// Items that write themselves one by one.
trait Rows: Send + Sync {
    fn count(&self) -> usize;
    /// The item as JSON; empty where there is none.
    fn write(&self, at: usize) -> serde_json::Result<String>;
}

impl<T: Serialize + Send + Sync> Rows for Vec<T> {
    fn count(&self) -> usize {
        self.len()
    }

    fn write(&self, at: usize) -> serde_json::Result<String> {
        self.get(at).map_or_else(|| Ok(String::new()), serde_json::to_string)
    }
}

/// What a list leaves for the layer.
#[derive(Clone)]
struct Left {
    rows: Arc<dyn Rows>,
    cut: Option<Option<String>>,
    name: Option<String>,
}

impl<T: Serialize + Send + Sync + 'static> IntoResponse for Listing<T> {
    fn into_response(self) -> Response {
        let Self { items, cut, name } = self;
        let mut response = Response::default();
        response.extensions_mut().insert(Left { rows: Arc::new(items), cut, name });
        response
    }
}

/// What the layer knows of a list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct List {
    /// The names of an item's fields.
    pub(crate) fields: fn() -> Vec<String>,
    /// The last word of its address.
    pub(crate) name: &'static str,
}

/// Reads how a list is wanted, and writes it so.
pub(crate) async fn shape(list: List, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let view = View::read(&parts).and_then(|view| {
        view.check_fields(list.fields)?;
        Ok(view)
    });
    let view = match view {
        Ok(view) => view,
        Err(problem) => return problem.into_response(),
    };
    parts.extensions.insert(view.clone());
    let uri = parts.uri.clone();
    let mut response = next.run(Request::from_parts(parts, body)).await;
    let Some(left) = response.extensions_mut().remove::<Left>() else { return response };
    let count = left.rows.count();
    let write = move || written(&view, &left, list, &uri);
    let written = if count < MANY {
        write()
    } else {
        tokio::task::spawn_blocking(write).await.unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a list was not written");
            Err(Problem::internal())
        })
    };
    written.unwrap_or_else(IntoResponse::into_response)
}

fn written(view: &View, left: &Left, list: List, uri: &Uri) -> Result<Response, Problem> {
    let (page, next) = cut(view, left)?;
    let mut response = match view.format {
        Format::Json => json(view, left, page, next.as_deref())
            .map(|body| ([(header::CONTENT_TYPE, "application/json")], body).into_response()),
        Format::Ndjson => lines(view, left, page)
            .map(|body| ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()),
        Format::Csv => table(view, left, page, list.fields).map(|body| {
            let kind = "text/csv; charset=utf-8; header=present";
            ([(header::CONTENT_TYPE, kind)], body).into_response()
        }),
    }
    .map_err(|error| unwritten(&error))?;
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("accept"));
    if view.format == Format::Csv {
        let name = left.name.as_deref().unwrap_or(list.name);
        let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}.csv\""));
        let plain = HeaderValue::from_static("attachment");
        headers.insert(header::CONTENT_DISPOSITION, disposition.unwrap_or(plain));
    }
    if let Some(next) = next.and_then(|next| link(uri, &next)) {
        headers.insert(header::LINK, next);
    }
    Ok(response)
}

fn unwritten(error: &serde_json::Error) -> Problem {
    tracing::error!(error = error as &dyn std::error::Error, "a list was not written");
    Problem::internal()
}

type Page = std::ops::Range<usize>;

/// The items of the page, and where the next one begins.
fn cut(view: &View, left: &Left) -> Result<(Page, Option<String>), Problem> {
    let count = left.rows.count();
    if let Some(next) = &left.cut {
        return Ok((0..count, next.clone()));
    }
    let from = match view.after()? {
        None => 0,
        Some(after) => resume(left, after).map_err(|error| unwritten(&error))?.min(count),
    };
    let until = count.min(from + view.limit(MAX_ITEMS));
    let last = match until.checked_sub(1).filter(|_| until < count) {
        None => return Ok((from..until, None)),
        Some(last) => left.rows.write(last).and_then(|item| identity(&item)),
    };
    let digest = last.map_err(|error| unwritten(&error))?;
    Ok((from..until, Some(After { position: until, digest }.to_string())))
}

/// A page of a list, and where the next one begins, for who answers in another form.
pub(crate) fn page_of<T: Serialize + Send + Sync + 'static>(
    view: &View,
    items: Vec<T>,
) -> Result<(Vec<T>, Option<String>), Problem> {
    let rows = Arc::new(items);
    let left = Left { rows: Arc::<Vec<T>>::clone(&rows), cut: None, name: None };
    let (page, next) = cut(view, &left)?;
    drop(left);
    let mut items = Arc::try_unwrap(rows).map_err(|_| Problem::internal())?;
    items.truncate(page.end);
    items.drain(..page.start);
    Ok((items, next))
}

/// Where the list goes on: behind the item that the page before ended with, wherever that is now; where it
/// was, when it is gone.
fn resume(left: &Left, after: After) -> serde_json::Result<usize> {
    let count = left.rows.count();
    let is_it = |at: usize| Ok(identity(&left.rows.write(at)?)? == after.digest);
    let before = after.position - 1;
    if before < count && is_it(before)? {
        return Ok(after.position);
    }
    // It has not gone far.
    for off in 1..=count.max(before) {
        for at in [before.checked_add(off), before.checked_sub(off)].into_iter().flatten() {
            if at < count && is_it(at)? {
                return Ok(at + 1);
            }
        }
    }
    Ok(before)
}

/// A digest of what an item is known by; of all of it, when it has nothing that is steady.
fn identity(item: &str) -> serde_json::Result<u64> {
    let value: Value = serde_json::from_str(item)?;
    let told = |name: &str| value.get(name).filter(|told| !told.is_null());
    let steady = || STEADY.iter().filter_map(|name| Some(format!("{name}={}\n", told(name)?)));
    let digest = match IDENTITIES.iter().find_map(|name| told(name)) {
        Some(id) => Sha256::digest(id.to_string()),
        None if steady().next().is_some() => Sha256::digest(steady().collect::<String>()),
        None => Sha256::digest(item),
    };
    let bytes: [u8; 32] = digest.into();
    Ok(bytes.iter().take(8).fold(0, |all, byte| all << 8 | u64::from(*byte)))
}

/// The address of the next page (RFC 8288).
fn link(uri: &Uri, next: &str) -> Option<HeaderValue> {
    let mut query: Vec<&str> = uri.query().unwrap_or_default().split('&').collect();
    query.retain(|pair| !pair.is_empty() && !pair.starts_with("after="));
    let after = format!("after={next}");
    query.push(&after);
    let address = format!("<{}?{}>; rel=\"next\"", uri.path(), query.join("&"));
    HeaderValue::from_str(&address).ok()
}

/// An item's fields in the order in which it tells them, which a map would lose.
struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an item with fields")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// The fields of an item that are wanted, in the order in which they are.
fn fields(view: &View, item: &str) -> serde_json::Result<Vec<(String, Value)>> {
    let Fields(mut fields) = serde_json::from_str(item)?;
    let Some(wanted) = &view.fields else { return Ok(fields) };
    let of = |name: &String| {
        let at = fields.iter().position(|(known, _)| known == name)?;
        Some(fields.swap_remove(at))
    };
    Ok(wanted.iter().filter_map(of).collect())
}

/// An item as JSON, cut to the fields that are wanted.
fn item(view: &View, left: &Left, at: usize) -> serde_json::Result<String> {
    let item = left.rows.write(at)?;
    if view.fields.is_none() {
        return Ok(item);
    }
    let mut cut = String::from("{");
    for (n, (name, value)) in fields(view, &item)?.iter().enumerate() {
        let comma = if n > 0 { "," } else { "" };
        cut.push_str(&format!("{comma}{}:{value}", serde_json::to_string(name)?));
    }
    cut.push('}');
    Ok(cut)
}

fn json(view: &View, left: &Left, page: Page, next: Option<&str>) -> serde_json::Result<String> {
    let mut body = format!("{{\"schema_version\":{SCHEMA_VERSION},");
    body.push_str(&format!("\"next\":{},", serde_json::to_string(&next)?));
    if let Some(fields) = &view.fields {
        body.push_str(&format!("\"fields\":{},", serde_json::to_string(fields)?));
    }
    body.push_str("\"items\":[");
    for (n, at) in page.enumerate() {
        if n > 0 {
            body.push(',');
        }
        body.push_str(&item(view, left, at)?);
    }
    body.push_str("]}");
    Ok(body)
}

/// An item a line.
fn lines(view: &View, left: &Left, page: Page) -> serde_json::Result<String> {
    let mut body = String::new();
    for at in page {
        body.push_str(&item(view, left, at)?);
        body.push('\n');
    }
    Ok(body)
}

/// A table with a line of names.
fn table(
    view: &View,
    left: &Left,
    page: Page,
    known: fn() -> Vec<String>,
) -> serde_json::Result<String> {
    let mut table = String::new();
    if page.is_empty() {
        let names = view.fields.clone().unwrap_or_else(known);
        csv::line(&mut table, names.into_iter());
    }
    for at in page {
        let fields = fields(view, &left.rows.write(at)?)?;
        if table.is_empty() {
            csv::line(&mut table, fields.iter().map(|(name, _)| name.clone()));
        }
        csv::line(&mut table, fields.iter().map(|(_, value)| csv::cell(value)));
    }
    Ok(table)
}

#[cfg(test)]
mod tests;
