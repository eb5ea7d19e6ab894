//! One path: its smoke graph, what holds at the time, and the way to its windows.

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use axum::response::{Html, Response};
use busyhour_chart::{Look, Smoke, Svg};
use busyhour_model::UtcMicros;
use busyhour_store::PathRow;

use super::{Page, files, rendered};
use crate::app::App;
use crate::json;
use crate::json::span::{Span, SpanQuery};
use crate::problem::Problem;
use crate::scoped::Scoped;
use crate::smoke::{LONGEST, Told, USUAL, told};
use crate::text;

#[derive(Template)]
#[template(path = "path.html")]
struct PathPage {
    as_of: String,
    title: String,
    simulated: bool,
    building: Option<(String, String)>,
    facts: Vec<(&'static str, String)>,
    zone: String,
    from: String,
    until: String,
    from_s: i64,
    until_s: i64,
    spans: Vec<SpanLink>,
    svg: Svg,
    step_words: &'static str,
    rows: Vec<StepRow>,
    incidents: Vec<(String, String)>,
    changes: Vec<String>,
    picture_href: String,
    png_href: String,
    csv_href: String,
    json_href: String,
}

/// Another time of the same path.
struct SpanLink {
    href: String,
    words: &'static str,
    rel: &'static str,
}

struct StepRow {
    time: String,
    windows: u32,
    bad: u32,
    loss: String,
    median: String,
    p95: String,
}

fn span_of(
    app: &App,
    id: &str,
    parameters: Result<Query<SpanQuery>, QueryRejection>,
) -> Result<Span, Problem> {
    let parameters = json::query(parameters)?;
    Span::new(id, &parameters, app.now(), (USUAL, LONGEST))
}

/// The page.
pub(crate) async fn page(
    app: App,
    Path(id): Path<String>,
    parameters: Result<Query<SpanQuery>, QueryRejection>,
) -> Page {
    let span = span_of(&app, &id, parameters)?;
    let page = app.with_store(move |services| rendered(&PathPage::read(services, span)?));
    Ok(Html(page.await?))
}

/// The smoke graph as a file of its own.
pub(crate) async fn svg(
    app: App,
    Path(id): Path<String>,
    parameters: Result<Query<SpanQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let alone = |svg: Svg| Ok(svg.standalone(Look::AsTheReader).into_bytes());
    Ok(files::picture("image/svg+xml", picture(app, &id, parameters, alone).await?))
}

/// The same as a bitmap, two pixels for a unit.
pub(crate) async fn png(
    app: App,
    Path(id): Path<String>,
    parameters: Result<Query<SpanQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    // Making a bitmap takes a while, so it is made where store calls are, few at a time.
    let png = |svg: Svg| svg.png().map(|png| png.bytes).ok_or_else(Problem::internal);
    Ok(files::picture("image/png", picture(app, &id, parameters, png).await?))
}

/// Draws, and makes something of what is drawn, on a thread that may take its time.
async fn picture<T: Send + 'static>(
    app: App,
    id: &str,
    parameters: Result<Query<SpanQuery>, QueryRejection>,
    of: impl FnOnce(Svg) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let span = span_of(&app, id, parameters)?;
    let drawn = move |services: &Scoped| {
        let (path, _) = span.find(services)?;
        of(draw(&path, &told(services, &path, span)?))
    };
    app.with_store(drawn).await
}

fn draw(path: &PathRow, told: &Told) -> Svg {
    let name =
        format!("{}: round trips and loss, {} to {}", title(path, told), told.from, told.until);
    Smoke {
        name: &name,
        steps: &told.steps,
        limit: told.limit,
        spans: &told.spans,
        changes: &told.changes,
    }
    .draw()
}

/// `berlin-1, wired, to reflector:862, audio`.
fn title(path: &PathRow, told: &Told) -> String {
    let key = &path.key;
    let agent = told.agent.as_deref().unwrap_or("an agent that is no longer known");
    format!(
        "{agent}, {}, to {}, {}",
        key.link.kind().words(),
        key.target,
        text::plain(key.class.as_str())
    )
}

impl PathPage {
    fn read(services: &Scoped, span: Span) -> Result<Self, Problem> {
        let (path, simulated) = span.find(services)?;
        let told = told(services, &path, span)?;
        let id = path.id.0;
        let query = |from: UtcMicros, until: UtcMicros| {
            format!("from={}&until={}", text::utc(from), text::utc(until))
        };
        let own = query(span.from, span.until);
        let length = span.until.since(span.from);
        let later = |by: i64| UtcMicros(span.until.0.saturating_add(by));
        let earlier = |by: i64| UtcMicros(span.from.0.saturating_add(by));
        let other = |from, until, words, rel| SpanLink {
            href: format!("/paths/{id}?{}", query(from, until)),
            words,
            rel,
        };
        let now = (services.clock)();
        let last = |days: u64, words| {
            let from = now.minus(std::time::Duration::from_secs(days * 86_400));
            other(from, now, words, "")
        };
        let mut spans = vec![other(earlier(-length), later(-length), "← earlier", "prev")];
        if span.until < now {
            spans.push(other(earlier(length), later(length), "later →", "next"));
        }
        spans.extend([last(1, "last day"), last(7, "last 7 days"), last(31, "last 31 days")]);
        Ok(Self {
            as_of: text::utc(now),
            title: title(&path, &told),
            simulated,
            building: told
                .building
                .as_ref()
                .map(|building| (format!("/buildings/{}", building.id), building.name.clone())),
            facts: facts(&path, now),
            zone: told.zone.clone(),
            from: told.from.clone(),
            until: told.until.clone(),
            from_s: span.from.as_secs(),
            until_s: span.until.as_secs(),
            spans,
            svg: draw(&path, &told),
            step_words: told.step_words,
            rows: told.steps.iter().filter(|step| step.windows.0 > 0).map(StepRow::new).collect(),
            incidents: told.incidents.clone(),
            changes: told.changes.iter().map(|(_, words)| words.clone()).collect(),
            picture_href: format!("/paths/{id}/picture.svg?{own}"),
            png_href: format!("/paths/{id}/picture.png?{own}"),
            csv_href: format!("/api/v1/paths/{id}/windows?{own}&format=csv"),
            json_href: format!("/api/v1/paths/{id}/windows?{own}&limit=10080"),
        })
    }
}

impl StepRow {
    fn new(step: &busyhour_chart::SmokeStep) -> Self {
        let unit = |value: Option<f64>| {
            value.map_or_else(
                || "–".to_owned(),
                |value| busyhour_chart::Unit::Milliseconds.words(value),
            )
        };
        let percent = |share: f64| busyhour_chart::Unit::Percent.words(share * 100.0);
        Self {
            time: step.time.clone(),
            windows: step.windows.0,
            bad: step.windows.1,
            loss: step.loss.map_or_else(|| "–".to_owned(), percent),
            median: unit(step.scatter.map(|scatter| scatter.p50)),
            p95: unit(step.scatter.map(|scatter| scatter.p95)),
        }
    }
}

fn facts(path: &PathRow, now: UtcMicros) -> Vec<(&'static str, String)> {
    let (key, context) = (&path.key, &path.context);
    let mut facts = vec![
        ("Agent's interface", format!("{} ({})", key.link.interface(), key.link.kind().words())),
        ("Target", key.target.to_string()),
        ("Traffic class", text::plain(key.class.as_str())),
        ("Profile", key.profile.to_string()),
        ("Transport", format!("{} over {}", key.transport.as_str(), key.family.as_str())),
        ("Judged by", text::plain(path.requirement.as_str())),
        ("Newest window", format!("{} ago", text::age(text::age_s(now, path.newest)))),
    ];
    let said = [
        ("Target's address", context.resolved.map(|address| address.to_string())),
        ("Network of the agent", context.local_prefix.map(|prefix| prefix.to_string())),
        ("Seen on the Internet as", context.reflexive.map(|address| address.to_string())),
    ];
    facts.extend(said.into_iter().filter_map(|(name, said)| Some((name, said?))));
    facts
}
