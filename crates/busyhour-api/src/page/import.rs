//! A building file that is uploaded: first what is wrong with it and what it would change, then, when
//! somebody confirms it, the change.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::extract::Multipart;
use axum::extract::multipart::MultipartRejection;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};
use busyhour_model::building_file::{self, Finding, Severity};
use busyhour_model::{FileBuilding, FileSubnet, UtcMicros};

use super::{Page, PageProblem, rendered};
use crate::app::App;
use crate::json::inventory::{Checked, check};
use crate::problem::Problem;
use crate::scoped::Scoped;
use crate::signin::credential::SessionKey;
use crate::signin::pages::check_token;

/// The longest files, together; they come back in the answer, to be confirmed.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The longest upload: the same if all of it were ends of lines, and what is said beside.
pub(crate) const MAX_UPLOAD_BYTES: usize = 2 * MAX_BYTES + 64 * 1024;
/// Findings, buildings and subnets that are listed; the rest is counted.
const MAX_LISTED: usize = 200;

#[derive(Template)]
#[template(path = "import.html")]
struct ImportPage {
    /// Of who may upload with a form: who signed in.
    form_token: Option<String>,
    looked_at: Option<LookedAt>,
    /// The number of the version that was put in force.
    done: Option<u32>,
    /// Why what was confirmed was not done.
    refused: &'static str,
}

/// A file, what is wrong with it, and what it would change.
struct LookedAt {
    file: String,
    companion: Option<String>,
    errors: usize,
    warnings: usize,
    findings: Vec<Line>,
    more_findings: usize,
    changes: Option<Changes>,
}

struct Line {
    severity: &'static str,
    shape: &'static str,
    source: &'static str,
    line: u32,
    column: String,
    message: String,
    remedy: String,
}

/// What a file would change of what is in force.
struct Changes {
    /// The version that it would be.
    version: u32,
    buildings: u32,
    subnets: u32,
    renamed: u32,
    groups: Vec<Group>,
}

struct Group {
    title: &'static str,
    count: usize,
    names: Vec<String>,
}

impl Group {
    fn new(title: &'static str, names: Vec<String>) -> Self {
        let count = names.len();
        Self { title, count, names: names.into_iter().take(MAX_LISTED).collect() }
    }

    const fn more(&self) -> usize {
        self.count - self.names.len()
    }
}

/// What a form said.
#[derive(Default)]
struct Said {
    token: String,
    file: String,
    companion: Option<String>,
    /// The version that was shown when somebody confirmed it.
    confirmed: Option<u32>,
}

/// The form.
pub(crate) async fn form(app: App) -> Page {
    let form_token = form_token(&app)?;
    let page = ImportPage { form_token, looked_at: None, done: None, refused: "" };
    Ok(Html(rendered(&page)?))
}

fn form_token(app: &App) -> Result<Option<String>, Problem> {
    app.principal().session.as_ref().map(SessionKey::form_token).transpose()
}

/// Looks at a file, or puts in force what was looked at.
pub(crate) async fn upload(
    app: App,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, PageProblem> {
    let form = form.map_err(|rejection| {
        Problem::rejected(rejection.status(), "the form is not complete".to_owned())
    })?;
    let said = read(form).await?;
    check_token(app.principal(), &said.token)?;
    let token = form_token(&app)?;
    let page = app.with_store(move |services| ImportPage::answer(services, said, token));
    let page = page.await?;
    let refused = page.looked_at.as_ref().is_some_and(|file| file.errors > 0);
    let status = if refused || !page.refused.is_empty() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    Ok((status, Html(rendered(&page)?)).into_response())
}

async fn read(mut form: Multipart) -> Result<Said, Problem> {
    let broken = |status| Problem::rejected(status, "the upload is too long or broken".to_owned());
    let mut said = Said::default();
    while let Some(field) = form.next_field().await.map_err(|error| broken(error.status()))? {
        let name = field.name().unwrap_or_default().to_owned();
        let bytes = field.bytes().await.map_err(|error| broken(error.status()))?;
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| {
            Problem::unprocessable(
                "the file is not text in UTF-8: save it as CSV (UTF-8)",
                Vec::new(),
            )
        })?;
        let text = text.strip_prefix('\u{feff}').map(ToOwned::to_owned).unwrap_or(text);
        match name.as_str() {
            "token" => said.token = text,
            "file" => said.file = text,
            "companion" => said.companion = Some(text).filter(|text| !text.trim().is_empty()),
            "confirmed" => said.confirmed = text.trim().parse().ok(),
            _ => {}
        }
    }
    if length(&said.file) + said.companion.as_deref().map_or(0, length) > MAX_BYTES {
        let detail = "both files together are longer than 4 MiB: use `busyhour building import`";
        return Err(Problem::rejected(StatusCode::PAYLOAD_TOO_LARGE, detail.to_owned()));
    }
    if said.file.trim().is_empty() {
        return Err(Problem::unprocessable("there is no building file in the form", Vec::new()));
    }
    Ok(said)
}

/// The length of a file however its lines end: a browser that sends it a second time, to confirm it, ends
/// them with two bytes.
fn length(text: &str) -> usize {
    text.len() - text.matches("\r\n").count()
}

impl ImportPage {
    fn answer(services: &Scoped, said: Said, form_token: Option<String>) -> Result<Self, Problem> {
        let now: UtcMicros = (services.clock)();
        let files = (said.file.as_str(), said.companion.as_deref());
        let mut checked = check(services, files, now)?;
        let mut refused = "";
        if let Some(version) = said.confirmed.filter(|_| !checked.is_refused()) {
            if checked.put_in_force_as(services, version, now)? {
                return Ok(Self { form_token, looked_at: None, done: Some(version), refused });
            }
            refused = "Somebody else changed the buildings meanwhile: this is what the file would change now.";
            checked = check(services, files, now)?;
        }
        let looked_at = LookedAt::new(services, said, &checked)?;
        Ok(Self { form_token, looked_at: Some(looked_at), done: None, refused })
    }
}

impl LookedAt {
    fn new(services: &Scoped, said: Said, checked: &Checked) -> Result<Self, Problem> {
        let errors = checked.findings.iter().filter(|one| one.severity == Severity::Error).count();
        let changes = match checked.is_refused() {
            true => None,
            false => Changes::new(services, checked)?,
        };
        Ok(Self {
            file: said.file,
            companion: said.companion,
            errors,
            warnings: checked.findings.len() - errors,
            findings: checked.findings.iter().take(MAX_LISTED).map(Line::new).collect(),
            more_findings: checked.findings.len().saturating_sub(MAX_LISTED),
            changes,
        })
    }
}

impl Line {
    fn new(finding: &Finding) -> Self {
        Self {
            severity: finding.severity.as_str(),
            shape: match finding.severity {
                Severity::Error => "■",
                Severity::Warning => "▲",
            },
            source: finding.source.as_str(),
            line: finding.line,
            column: finding.column.map_or_else(String::new, |column| column.to_string()),
            message: finding.message.clone(),
            remedy: finding.remedy.clone(),
        }
    }
}

impl Changes {
    fn new(services: &Scoped, checked: &Checked) -> Result<Option<Self>, Problem> {
        let Some(preview) = &checked.preview else { return Ok(None) };
        let control = &services.control;
        let before = building_file::from_inventory(&control.buildings()?, &control.subnets()?);
        let (old, new) = (by_name(&before), by_name(&checked.buildings));
        let ended = preview.buildings_ended.iter().map(|building| building.name.clone());
        let renamed = &preview.buildings_renamed;
        let now: BTreeMap<&str, &str> =
            renamed.iter().map(|(before, now)| (before.as_str(), now.as_str())).collect();
        let former: BTreeMap<&str, &str> =
            renamed.iter().map(|(before, now)| (now.as_str(), before.as_str())).collect();
        let changed = new.iter().filter_map(|(name, building)| {
            let before = old.get(former.get(name).unwrap_or(name))?;
            differs(before, building).map(|what| format!("{name}: {what}"))
        });
        let renamed = renamed.iter().map(|(before, now)| format!("{before} → {now}"));
        let (old_nets, new_nets) = (nets(&before, &now), nets(&checked.buildings, &now));
        let net = |(prefix, building): &(String, &str)| format!("{prefix} ({building})");
        let nets_ended = preview.subnets_ended.iter().map(|subnet| subnet.prefix.to_string());
        let groups = vec![
            Group::new("Buildings that are new", preview.buildings_added.clone()),
            Group::new("New names of buildings", renamed.collect()),
            Group::new("Buildings that change", changed.collect()),
            Group::new("Buildings that end", ended.collect()),
            Group::new("Subnets that are new", new_nets.difference(&old_nets).map(net).collect()),
            Group::new("Subnets that end", nets_ended.collect()),
        ];
        let done = preview.summary;
        Ok(Some(Self {
            version: done.version,
            buildings: done.buildings,
            subnets: done.subnets,
            renamed: done.buildings_renamed,
            groups,
        }))
    }

    fn is_nothing(&self) -> bool {
        self.renamed == 0 && self.groups.iter().all(|group| group.count == 0)
    }
}

fn by_name(buildings: &[FileBuilding]) -> BTreeMap<&str, &FileBuilding> {
    buildings.iter().map(|building| (building.name.as_str(), building)).collect()
}

/// What subnets are told apart by.
fn prefixes(building: &FileBuilding) -> Vec<String> {
    let words = |subnet: &FileSubnet| match subnet.egress {
        Some(egress) => format!("{} behind {egress}", subnet.prefix),
        None => subnet.prefix.to_string(),
    };
    building.subnets.iter().map(words).collect()
}

/// The prefix of each subnet, with what its building is called `now`.
fn nets<'a>(
    buildings: &'a [FileBuilding],
    now: &BTreeMap<&'a str, &'a str>,
) -> BTreeSet<(String, &'a str)> {
    let each = buildings.iter().flat_map(|building| {
        let name = building.name.as_str();
        let name = now.get(name).copied().unwrap_or(name);
        prefixes(building).into_iter().map(move |prefix| (prefix, name))
    });
    each.collect()
}

/// What of a building is other, in words; its subnets are told by themselves. What a file does not tell
/// stays as it is.
fn differs(before: &FileBuilding, after: &FileBuilding) -> Option<String> {
    let place = |one: &FileBuilding| [&one.city, &one.country, &one.region].map(String::clone);
    let columns = |one: &FileBuilding| -> BTreeMap<String, FileSubnet> {
        one.subnets.iter().map(|net| (net.prefix.to_string(), net.clone())).collect()
    };
    let (old, new) = (columns(before), columns(after));
    let nets = new.iter().filter(|(prefix, net)| {
        old.get(*prefix).is_some_and(|before| before.columns != net.columns)
    });
    let nets = nets.count();
    let words = [
        (place(before) != place(after), "place".to_owned()),
        (told(&before.time_zone, &after.time_zone), "time zone".to_owned()),
        (told(&before.business_hours, &after.business_hours), "business hours".to_owned()),
        (!after.holidays.is_empty() && before.holidays != after.holidays, "holidays".to_owned()),
        (nets > 0, format!("columns of {nets} of its subnets")),
    ];
    let words: Vec<String> =
        words.into_iter().filter(|(is_other, _)| *is_other).map(|(_, words)| words).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// A file tells something else than what is known.
fn told<T: PartialEq>(before: &Option<T>, after: &Option<T>) -> bool {
    after.is_some() && before != after
}
